"""Files of prompts: plain text, tables, JSON, and the files that benchmarks publish theirs in."""

import codecs
import csv
import io
import json
import re
import reprlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fewpass.io.atomic import located

PARTI = ("prompt", "category", "challenge", "note")  # the columns of PartiPrompts.tsv
GENEVAL = ("tag", "include", "exclude")  # keys of GenEval's lines
FROM_NAMES = ("item_id", "style", "index")  # tags from the names of files and the order in them
SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}  # in a .csv, as messages name them
QUOTED = re.compile(r'"(?:[^"]|"")*"?')
DIGITS = 40  # longer numbers are not whole: none of them is a seed


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


def read_rows(path: str | Path) -> list[Row]:
    """Read a file of prompts, by its suffix, or a folder of such files.

    .txt, a file without a suffix, and `-`, standard input, have one prompt per line. .csv and .tsv have a heading with
    a column `prompt`; a .tsv has no quotes. .jsonl has an object with a `prompt` per line. PartiPrompts' .tsv and
    GenEval's .jsonl are known by their columns. .json is captions as COCO has them, or a list of prompts, as HPSv2 has
    one for each style. A folder has .json files, or .txt files of one prompt each, as DPG-Bench has them.

    Text is UTF-8, or UTF-16 with a byte order mark. Blank lines are skipped, and so are those of separators alone.

    Raises:
        ValueError: naming the file, the line and the fault.
    """
    name, path = str(path), located(path)
    if path.is_dir():
        return _folder(name, path)
    read = READERS.get(path.suffix.lower() or ".txt")
    if read is None:
        raise ValueError(f"{name!r}: a file of prompts ends in one of {', '.join(READERS)}")
    rows = list(read(name, _text(name, path)))
    if not rows:
        raise ValueError(f"there is no prompt in {name!r}")
    return rows


def _folder(name: str, folder: Path) -> list[Row]:
    texts = sorted(folder.glob("*.txt"), key=lambda file: (len(file.stem), file.stem))  # 1.txt, 2.txt, 10.txt
    styles = sorted(folder.glob("*.json"))
    if bool(texts) == bool(styles):
        raise ValueError(f"{name!r} is a folder of neither .txt files, one prompt each, nor .json files, a style each")
    whole = [Row(" ".join(_text(str(file), file).split()), str(file), tags={"item_id": file.stem}) for file in texts]
    return whole or [row for file in styles for row in read_rows(file)]


def _text(name: str, path: Path) -> str:
    raw = b""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
        text = raw.decode("utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read {name!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = 1 + raw[: error.start].count(b"\n")
        raise ValueError(f"{name}:{line}: this is not text in UTF-8: save the file as UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{name}: this is not text in UTF-8: it has bytes that are 0")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(name: str, text: str) -> Iterator[tuple[str, str]]:
    """The lines of a file that are not blank, each after its place."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{name}:{number}", line


def _plain(name: str, text: str) -> Iterator[Row]:
    for number, (place, line) in enumerate(_lines(name, text)):
        if not number and any("prompt" in _columns(line.split(separator)) for separator in SEPARATORS):
            raise ValueError(f"{place}: {line.strip()[:80]!r} is the heading of a table: name the file .csv or .tsv")
        if line.lstrip().startswith('{"'):
            raise ValueError(f"{place}: {line.strip()[:80]!r} is JSON: name the file .jsonl")
        yield Row(line, place)


def _tsv(name: str, text: str) -> Iterator[Row]:
    lines = [(place, line.split("\t")) for place, line in _lines(name, text)]
    for place, cells in lines:
        for cell in map(str.strip, cells):
            if QUOTED.fullmatch(cell) and ("," in cell or cell.count('"') != 2):  # two alone are a quotation
                message = "seems to be quoted, and a .tsv has no quotes: name the file .csv, which may have tabs"
                raise ValueError(f"{place}: {cell[:80]!r} {message}")
        cells += [""] * (len(lines[0][1]) - len(cells))  # PartiPrompts leaves empty cells out at the end
    return _table(lines, "\t", "")


def _csv(name: str, text: str) -> Iterator[Row]:
    """A table with the separator that makes `prompt` a column."""
    heading = text.lstrip("\n").partition("\n")[0][:10_000]
    columns = {s: _columns(next(csv.reader([heading], delimiter=s, skipinitialspace=True), [])) for s in SEPARATORS}
    separator = max(SEPARATORS, key=lambda s: ("prompt" in columns[s], len(columns[s])))
    return _table(_records(name, text, separator), separator, "; a cell that holds one must be quoted")


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


def _columns(heading: Sequence[str]) -> list[str]:
    return [column.strip().lower().replace(" ", "_") for column in heading]


def _table(lines: Iterable[tuple[str, list[str]]], separator: str, advice: str) -> Iterator[Row]:
    """Rows of a table with a heading. Columns without a name must be empty."""
    lines = iter(lines)
    place, heading = next(lines, ("", ["prompt"]))
    columns, words = _columns(heading), SEPARATORS.get(separator, repr(separator))
    if "prompt" not in columns:
        shown = separator.join(heading)[:80]
        raise ValueError(f"{place}: there is no column 'prompt' in the heading {shown!r}, separated by {words}")
    for number, column in enumerate(columns):
        if column and column in columns[:number]:
            raise ValueError(f"{place}: there are two columns {column!r}")
    for place, cells in lines:
        if len(cells) != len(columns):
            raise ValueError(f"{place}: cells must be {len(columns)}, separated by {words}, got {len(cells)}{advice}")
        pairs = [(column, cell.strip()) for column, cell in zip(columns, cells, strict=True) if cell.strip()]
        if nameless := [cell for column, cell in pairs if not column]:
            raise ValueError(f"{place}: a column without a name must be empty, got {nameless[0][:80]!r}")
        given = dict(pairs)
        prompt = given.pop("prompt", "")
        parti = tuple(filter(None, columns)) == PARTI
        yield Row(prompt, place, tags=given) if parti else Row(prompt, place, given)


def _json_lines(name: str, text: str) -> Iterator[Row]:
    for place, line in _lines(name, text):
        yield _object(place, _parsed(place, line))


def _object(place: str, given: Any) -> Row:
    if not isinstance(given, dict):
        raise ValueError(f'{place}: a line must be an object like {{"prompt": "..."}}, got {reprlib.repr(given)}')
    if "prompt" not in given:
        raise ValueError(f"{place}: there is no 'prompt' in {reprlib.repr(given)}")
    prompt = given.pop("prompt")
    kept = {key: value for key, value in given.items() if value is not None}
    geneval = {"tag", "include"} <= kept.keys() <= set(GENEVAL)
    return Row(prompt, place, tags=kept) if geneval else Row(prompt, place, kept)


def _json(name: str, text: str) -> Iterator[Row]:
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
        value = json.loads(text, parse_int=_whole)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: this is no JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{place}: JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return value


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS else float(digits)


READERS: dict[str, Callable[[str, str], Iterator[Row]]] = {
    ".txt": _plain,
    ".tsv": _tsv,
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".json": _json,
}
