"""The images of a batch: name, prompt, seed and options of each, and its line in the results."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

from fewpass.core.messages import meant, shown
from fewpass.engine.options import GenerationOptions
from fewpass.engine.seeds import assign
from fewpass.io.prompt_rows import Row

KINDS = {option.name: option.metadata["kind"] for option in fields(GenerationOptions) if option.name != "seed"}
OPTIONS = tuple(KINDS)  # that a row may set
NAME = re.compile(r"\w[\w.-]*")
LONGEST = 200  # bytes of an id, which names a file too
MOST = 10_000_000  # images of a batch
ABOUT = ("id", "tags", "options", "versions", "trace")  # keys of a record that are no settings


@dataclass(frozen=True)
class Entry:
    """One image to be drawn, with options of `Pipeline.__call__`; `tags` are copied into the results."""

    id: str
    prompt: str
    seed: int
    options: Mapping[str, Any]
    tags: Mapping[str, Any]

    @property
    def file(self) -> str:
        """The name of the image's file."""
        return f"{self.id}.png"


@dataclass(frozen=True)
class Outcome:
    """The line of an entry in the results, and the PNG file of its image, None if it has failed.

    The file holds the settings that draw the image again, and its trace.
    """

    line: dict[str, Any]
    png: bytes | None = None


def drawn_line(entry: Entry, record: Mapping[str, Any]) -> dict[str, Any]:
    """The line of an image with this record; its `settings` draw the image again."""
    width, height = record["size"]
    return {
        "id": entry.id,
        "status": "drawn",
        "image": f"images/{entry.file}",
        "prompt": entry.prompt,
        "seed": entry.seed,
        "settings": {key: value for key, value in record.items() if key not in ABOUT},
        "options": dict(entry.options),
        **{key: record[key] for key in ("device", "dtype")},
        "width": width,
        "height": height,
        **{key: record["trace"][key] for key in ("passes", "tokens_per_pass", "seconds")},
        "tags": dict(entry.tags),
    }


def failed_line(entry: Entry, error: str) -> dict[str, Any]:
    """The line of an entry that has failed."""
    about = {"prompt": entry.prompt, "seed": entry.seed, "options": dict(entry.options), "tags": dict(entry.tags)}
    return {"id": entry.id, "status": "failed", "error": error, **about}


def read_options(given: Mapping[str, object]) -> dict[str, Any]:
    """Read options of `Pipeline.__call__`, written as text or as JSON values; options that are None are left out.

    Raises ValueError naming the option and the value that is out of range.
    """
    values = {name: _number(KINDS[name], value) for name, value in given.items() if value is not None}
    for name, value in values.items():
        if KINDS[name] is str and not isinstance(value, str):
            raise ValueError(f"{name} must be a text, got {shown(value)}")
    options = GenerationOptions(**values).checked()
    return {name: str(options.decoder) if name == "decoder" else getattr(options, name) for name in values}


def _number(kind: type, value: object) -> Any:
    """A cell of a table as a number, if it is one and `kind` is that of a number."""
    if isinstance(value, str) and kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    return value


def by_options(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries so that those of equal options, which share forward passes, follow each other."""
    return sorted(entries, key=lambda entry: json.dumps(entry.options, sort_keys=True))


def digest(entries: Sequence[Entry]) -> str:
    """A hash of all entries."""
    state = hashlib.sha256()
    for entry in entries:
        state.update(json.dumps(asdict(entry)).encode())
    return state.hexdigest()


def entries_of(
    rows: Sequence[Row], options: Mapping[str, Any], seed: int, count: int = 1, keep: Sequence[str] = ()
) -> list[Entry]:
    """Make `count` entries of each row. Raises ValueError naming the row and the value that is out of range.

    Args:
        rows: Prompts with the columns of their row.
        options: Options of all rows; columns of a row take precedence.
        seed: Seed of the first image; image i of all uses `seed` + i, and image k of a row with a seed that seed + k.
        count: Images of each row.
        keep: Columns that become tags.

    Returns:
        Entries named by the ids of their rows, or by the numbers of the rows if there are no ids.
    """
    if len(rows) * count > MOST:
        raise ValueError(f"a batch must have at most {MOST} images, got {len(rows)} prompts with {count} images each")
    digits, seeds = max(5, len(str(len(rows) - 1))), assign(seed, len(rows) * count)
    named, entries = any("id" in row.fields for row in rows), []
    taken = dict[str, str]()  # places of rows by their ids, on a disk that ignores case
    for number, row in enumerate(rows):
        try:
            name = _name(row.fields["id"]) if "id" in row.fields else f"{number:0{digits}}"
            if named and "id" not in row.fields:
                raise ValueError("an id is missing: other rows have one")
            before = taken.setdefault(unicodedata.normalize("NFKC", name).casefold(), row.place)
            if before != row.place:
                raise ValueError(f"the id {name!r} is taken by {before}")
            own, tags = _read_fields(row, keep)
            drawn = seeds[number * count : (number + 1) * count]
            if "seed" in row.fields:
                drawn = assign(_number(int, row.fields["seed"]), count)
        except ValueError as error:
            raise ValueError(f"{row.place}: {error}") from None
        for k, one in enumerate(drawn):
            entries.append(Entry(name if count == 1 else f"{name}-{k}", row.prompt, one, {**options, **own}, tags))
    _check_kept(rows, keep)
    return entries


def _read_fields(row: Row, keep: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options and the tags of a row."""
    known = ["id", "seed", *OPTIONS]
    for name in row.fields:
        if name not in known and name not in keep:
            near = meant(name, [*known, "prompt"])
            raise ValueError(
                f"there is no setting {name!r}{near}; there are {', '.join(known)}, and columns named by --keep"
            )
    options = {name: value for name, value in row.fields.items() if name in OPTIONS}
    kept = {name: value for name, value in row.fields.items() if name in keep}
    return read_options(options), {**row.tags, **kept}


def _check_kept(rows: Sequence[Row], keep: Sequence[str]) -> None:
    for name in keep:
        if name in OPTIONS or name in ("prompt", "id", "seed") or any(name in row.tags for row in rows):
            raise ValueError(f"the results hold {name!r} anyway: nothing to keep")
        if not any(name in row.fields for row in rows):
            columns = dict.fromkeys(column for row in rows for column in row.fields)
            raise ValueError(f"there is no column {name!r} to keep{meant(name, columns)}")


def _name(value: object) -> str:
    name = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not NAME.fullmatch(name) or len(name.encode()) > LONGEST:
        raise ValueError(
            f"an id must be a file's name, of letters, digits, '-', '_' and '.' and at most {LONGEST} bytes, "
            f"got {shown(value)}"
        )
    return name
