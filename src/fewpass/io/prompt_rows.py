"""Rows of prompt files: a prompt with its other columns, and the readers of tables and of JSON."""

import csv
import io
import json
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BENCHMARKS = (  # the least and the most columns of a row, without its prompt
    ({"category", "challenge"}, {"category", "challenge", "note"}),  # PartiPrompts.tsv
    ({"tag", "include"}, {"tag", "include", "exclude"}),  # GenEval's lines
)
SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}  # in a .csv, as messages name them
QUOTED = re.compile(r'"(?:[^"]|"")*"?')
FROM_NAMES = ("item_id", "style", "index")  # tags from the names of files and the order in them


@dataclass(frozen=True)
class Row:
    """One prompt without blanks around it, and its place in a file, like `prompts.csv:3`.

    `fields` holds the other columns of its row: text in tables, JSON values in JSON; cells that are empty or null are
    left out. `tags` holds the columns of known benchmarks.
    """

    prompt: str
    place: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str) or not self.prompt.strip():
            raise ValueError(f"{self.place}: a prompt must be a text, not blank, got {reprlib.repr(self.prompt)}")
        object.__setattr__(self, "prompt", self.prompt.strip())

    @classmethod
    def of(cls, place: str, given: Mapping[str, Any]) -> "Row":
        """The row of a table, or an object of JSON, with a `prompt` among its columns."""
        columns = {name: value for name, value in given.items() if name != "prompt" and value is not None}
        known = any(least <= columns.keys() <= most for least, most in BENCHMARKS)
        return cls(given.get("prompt", ""), place, **{"tags" if known else "fields": columns})


def lines(name: str, text: str) -> Iterator[tuple[str, str]]:
    """The lines of a file that are not blank, each after its place."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{name}:{number}", line


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


def read_json_lines(name: str, text: str) -> Iterator[Row]:
    """An object with a `prompt` on each line."""
    for place, line in lines(name, text):
        yield _object(place, _parsed(place, line))


def read_json(name: str, text: str) -> Iterator[Row]:
    """A list of prompts or objects, as HPSv2 has one for each style, or captions of COCO."""
    given = _parsed(name, text)
    if not isinstance(given, list):
        yield from _captions(name, given)
        return
    for number, prompt in enumerate(given):
        place = f"{name}: prompt {number}"
        if isinstance(prompt, dict):
            yield _object(place, prompt)
        else:
            yield Row(prompt, place, tags={"style": Path(name).stem, "index": number})


def _object(place: str, given: Any) -> Row:
    if not isinstance(given, dict):
        raise ValueError(f'{place}: a line must be an object like {{"prompt": "..."}}, got {reprlib.repr(given)}')
    if "prompt" not in given:
        raise ValueError(f"{place}: there is no 'prompt' in {reprlib.repr(given)}")
    return Row.of(place, given)


def _captions(name: str, given: Any) -> Iterator[Row]:
    """Captions of COCO: {"images": [{"id", "file_name"}], "annotations": [{"id", "image_id", "caption"}]}."""
    captions = given.get("annotations") if isinstance(given, dict) else None
    if not isinstance(captions, list):
        raise ValueError(f"{name}: a .json file has a list of prompts, or captions as COCO has them, in 'annotations'")
    images = given.get("images", [])
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise ValueError(f"{name}: 'images' must be a list of objects")
    files = {str(image.get("id")): image.get("file_name") for image in images}
    for number, caption in enumerate(captions):
        place = f"{name}: annotations[{number}]"
        if not isinstance(caption, dict) or not {"id", "image_id", "caption"} <= caption.keys():
            raise ValueError(f"{place}: a caption has 'id', 'image_id' and 'caption'")
        tags = {"image_id": caption["image_id"], "file_name": files.get(str(caption["image_id"]))}
        tags = {key: value for key, value in tags.items() if value is not None}
        yield Row(caption["caption"], place, {"id": caption["id"]}, tags)


def _parsed(place: str, text: str) -> Any:
    """Parse JSON, but refuse values that UTF-8 and JSON cannot hold: NaN, infinity, half of a character."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: this is no JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{place}: JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{place}: {str(error).partition(';')[0]}") from None  # advice for programmers
    return value
