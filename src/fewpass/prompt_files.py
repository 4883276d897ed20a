"""Files of prompts: plain text, tables, JSON lines, and the files that benchmarks publish theirs in."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fewpass.files import located

PARTI = ("prompt", "category", "challenge", "note")  # the columns of PartiPrompts.tsv
GENEVAL = ("tag", "include", "exclude")  # what GenEval's lines say of a prompt


@dataclass(frozen=True)
class Row:
    """One prompt and where it stands, like `prompts.csv:3`.

    `fields` is what the file's author says beside it, by column: text in tables, any JSON value in JSON lines; cells
    that are empty or null are left out. `tags` is what a benchmark says of its prompt, in the benchmark's own words.
    """

    prompt: str
    place: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str) or not self.prompt.strip():
            raise ValueError(f"{self.place}: a prompt must say something, not {self.prompt!r}")


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a file of prompts, which its suffix says how to read.

    .txt has one prompt per line; .csv and .tsv have a heading with a column `prompt` (a .tsv knows no quotes); .jsonl
    has an object with a `prompt` per line. PartiPrompts' .tsv and GenEval's .jsonl are known by their columns, and
    .json is captions as COCO has them. Blank lines are allowed at the end of a file only.

    Raises ValueError naming the file, the line and what is wrong there.
    """
    name, path = str(path), located(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{name!r}: a file of prompts ends in one of {', '.join(READERS)}")
    rows = list(read(name, _text(name, path)))
    if not rows:
        raise ValueError(f"there is no prompt in {name!r}")
    return rows


def _text(name: str, path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    except OSError as error:
        raise ValueError(f"cannot read {name!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        raise ValueError(f"{name}:{line}: this is not text in UTF-8") from None


def _lines(name: str, text: str) -> Iterator[tuple[str, str]]:
    """The lines of a file, each after its place."""
    for number, line in enumerate(text.rstrip().split("\n") if text.strip() else [], start=1):
        place = f"{name}:{number}"
        if not line.strip():
            raise ValueError(f"{place}: the line is blank")
        yield place, line


def _plain(name: str, text: str) -> Iterator[Row]:
    for place, line in _lines(name, text):
        yield Row(line.strip(), place)


def _tsv(name: str, text: str) -> Iterator[Row]:
    lines = ((place, line.split("\t")) for place, line in _lines(name, text))
    return _table(name, lines, trimmed=True)


def _csv(name: str, text: str) -> Iterator[Row]:
    return _table(name, _records(name, text), trimmed=False)


def _records(name: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """The records of a CSV file, each after the place where it begins."""
    reader, place = csv.reader(io.StringIO(text.rstrip(), newline=""), strict=True), f"{name}:1"
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                raise ValueError(f"{place}: the line is blank")
            yield place, cells
            place = f"{name}:{reader.line_num + 1}"
    except csv.Error as error:
        raise ValueError(f"{place}: {error}") from None


def _table(name: str, lines: Iterator[tuple[str, list[str]]], trimmed: bool) -> Iterator[Row]:
    """Rows of a table with a heading; where `trimmed`, empty cells at the end of a line may be missing."""
    place, heading = next(lines, (name, []))
    columns = [column.strip().lower().replace(" ", "_") for column in heading]
    _check_heading(place, columns)
    for place, cells in lines:
        missing = len(columns) - len(cells)
        if missing < 0 or (missing and not trimmed):
            raise ValueError(f"{place}: there are {len(cells)} cells for {len(columns)} columns")
        given = dict(zip(columns, [*cells, *[""] * missing], strict=True))
        prompt = given.pop("prompt")
        kept = {column: cell.strip() for column, cell in given.items() if cell.strip()}
        yield Row(prompt, place, tags=kept) if tuple(columns) == PARTI else Row(prompt, place, kept)


def _check_heading(place: str, columns: Sequence[str]) -> None:
    if "prompt" not in columns:
        raise ValueError(f"{place}: there is no column 'prompt' in the heading {', '.join(map(repr, columns))}")
    for number, column in enumerate(columns):
        if not column:
            raise ValueError(f"{place}: column {number + 1} has no name")
        if column in columns[:number]:
            raise ValueError(f"{place}: there are two columns {column!r}")


def _json_lines(name: str, text: str) -> Iterator[Row]:
    for place, line in _lines(name, text):
        given = _parsed(place, line)
        if not isinstance(given, dict):
            raise ValueError(f'{place}: a line must be an object like {{"prompt": "..."}}, not {line.strip()[:80]}')
        if "prompt" not in given:
            raise ValueError(f"{place}: there is no 'prompt', only {', '.join(map(repr, given)) or 'an empty object'}")
        prompt = given.pop("prompt")
        kept = {key: value for key, value in given.items() if value is not None}
        yield Row(prompt, place, tags=kept) if _of_geneval(kept) else Row(prompt, place, kept)


def _of_geneval(given: Mapping[str, Any]) -> bool:
    return {"tag", "include"} <= given.keys() <= set(GENEVAL)


def _captions(name: str, text: str) -> Iterator[Row]:
    """Captions of COCO: {"images": [{"id", "file_name"}], "annotations": [{"id", "image_id", "caption"}]}."""
    given = _parsed(name, text)
    captions = given.get("annotations") if isinstance(given, dict) else None
    if not isinstance(captions, list):
        raise ValueError(f"{name}: a .json file holds captions as COCO has them, under 'annotations'")
    images = given.get("images", [])
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise ValueError(f"{name}: 'images' must be a list of objects")
    files = {image.get("id"): image.get("file_name") for image in images}
    for number, caption in enumerate(captions):
        place = f"{name}: annotations[{number}]"
        if not isinstance(caption, dict) or not {"id", "image_id", "caption"} <= caption.keys():
            raise ValueError(f"{place}: a caption has 'id', 'image_id' and 'caption'")
        tags = {"image_id": caption["image_id"], "file_name": files.get(caption["image_id"])}
        tags = {key: value for key, value in tags.items() if value is not None}
        prompt = caption["caption"]
        yield Row(prompt.strip() if isinstance(prompt, str) else prompt, place, {"id": caption["id"]}, tags)


def _parsed(place: str, text: str) -> Any:
    """JSON, without what readers of JSON disagree about: keys that come twice, NaN, and halves of characters."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{place}: {key!r} is there twice")
        return dict(pairs)

    def constant(word: str) -> Any:
        raise ValueError(f"{place}: {word} is no JSON")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if error.lineno > 1 else ""
        raise ValueError(f"{place}{line}: this is no JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError(f"{place}: this is nested too deeply") from None
    if half := re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False)):
        raise ValueError(f"{place}: {half[0]!r} is half a character")
    return value


READERS: dict[str, Callable[[str, str], Iterator[Row]]] = {
    ".txt": _plain,
    ".tsv": _tsv,
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".json": _captions,
}
