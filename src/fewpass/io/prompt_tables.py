"""Prompts in tables with a heading: .csv with any separator, .tsv without quotes."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from fewpass.io.prompt_rows import Row, lines

SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}  # in a .csv, as messages name them
QUOTED = re.compile(r'"(?:[^"]|"")*"?')


def read_tsv(name: str, text: str) -> Iterator[Row]:
    """A table separated by tabs, in which quotes are letters."""
    table = [(place, line.split("\t")) for place, line in lines(name, text)]
    for place, cells in table:
        for cell in map(str.strip, cells):
            if QUOTED.fullmatch(cell) and ("," in cell or cell.count('"') != 2):  # two alone are a quotation
                message = "seems to be quoted, and a .tsv has no quotes: name the file .csv, which may have tabs"
                raise ValueError(f"{place}: {cell[:80]!r} {message}")
        cells += [""] * (len(table[0][1]) - len(cells))  # PartiPrompts leaves empty cells out at the end
    return _table(table, "\t", "")


def read_csv(name: str, text: str) -> Iterator[Row]:
    """A table with the separator that makes `prompt` a column."""
    heading = text.lstrip("\n").partition("\n")[0][:10_000]
    columns = {s: columns_of(next(csv.reader([heading], delimiter=s, skipinitialspace=True), [])) for s in SEPARATORS}
    separator = max(SEPARATORS, key=lambda s: ("prompt" in columns[s], len(columns[s])))
    return _table(_records(name, text, separator), separator, "; a cell that holds one must be quoted")


def columns_of(heading: Sequence[str]) -> list[str]:
    """The names of columns, in lower case and without blanks."""
    return [column.strip().lower().replace(" ", "_") for column in heading]


def _records(name: str, text: str, separator: str) -> Iterator[tuple[str, list[str]]]:
    """The records of a CSV file that are not blank, each after the place where it begins."""
    source, begin = io.StringIO(text, newline=""), 1
    reader = csv.reader(source, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield f"{name}:{begin}", cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name}:{begin}: {error}") from None


def _table(records: Iterable[tuple[str, list[str]]], separator: str, advice: str) -> Iterator[Row]:
    """Rows of a table with a heading. Columns without a name must be empty."""
    records = iter(records)
    place, heading = next(records, ("", ["prompt"]))
    columns, words = columns_of(heading), SEPARATORS[separator]
    if "prompt" not in columns:
        shown = separator.join(heading)[:80]
        raise ValueError(f"{place}: there is no column 'prompt' in the heading {shown!r}, separated by {words}")
    for number, column in enumerate(columns):
        if column and column in columns[:number]:
            raise ValueError(f"{place}: there are two columns {column!r}")
    for place, cells in records:
        if len(cells) != len(columns):
            raise ValueError(f"{place}: cells must be {len(columns)}, separated by {words}, got {len(cells)}{advice}")
        given = {column: cell.strip() for column, cell in zip(columns, cells, strict=True) if cell.strip()}
        if "" in given:
            raise ValueError(f"{place}: a column without a name must be empty, got {given[''][:80]!r}")
        yield Row.of(place, given)
