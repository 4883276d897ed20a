"""The images of a batch, each with its name and all that it depends on."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from fewpass.batch.options import OPTIONS, checked, whole
from fewpass.core.messages import meant
from fewpass.engine.seeds import assign
from fewpass.io.prompt_files import Row

NAME = re.compile(r"\w[\w.-]*")
LONGEST = 200  # bytes of an id, which is also a file's name
MOST = 10_000_000  # images of a batch


@dataclass(frozen=True)
class Entry:
    """One image to be drawn: `options` are those of `Pipeline.__call__`, `tags` are only handed on."""

    id: str
    prompt: str
    seed: int
    options: Mapping[str, Any]
    tags: Mapping[str, Any]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        entry = cls(**json.loads(text))
        return cls(entry.id, entry.prompt, entry.seed, _with_tuples(entry.options), entry.tags)


def _with_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def by_options(entries: Iterable[Entry]) -> list[Entry]:
    """Entries of equal options one after the other: they share forward passes."""
    return sorted(entries, key=lambda entry: json.dumps(entry.options, sort_keys=True))


def digest(entries: Sequence[Entry]) -> str:
    """What tells two lists of entries apart."""
    state = hashlib.sha256()
    for entry in entries:
        state.update(entry.to_json().encode())
    return state.hexdigest()


def entries_of(
    rows: Sequence[Row], options: Mapping[str, Any], seed: int, count: int = 1, keep: Sequence[str] = ()
) -> list[Entry]:
    """`count` entries of each row.

    A row without an id is called by its number. The k-th image of a row has its seed + k, and where the row says
    none, image i of all has `seed` + i. `options` hold for rows that do not say otherwise; the columns `keep` become
    tags. Raises ValueError naming the row and what is wrong with it.
    """
    if len(rows) * count > MOST:
        raise ValueError(f"a batch must have at most {MOST} images, got {len(rows)} prompts with {count} images each")
    digits, seeds = max(5, len(str(len(rows) - 1))), assign(seed, len(rows) * count)
    named, entries = any("id" in row.fields for row in rows), []
    for number, row in enumerate(rows):
        try:
            name = _name(row.fields["id"]) if "id" in row.fields else f"{number:0{digits}}"
            if named and "id" not in row.fields:
                raise ValueError("there is no id, and other rows have one")
            own, tags = _read_fields(row, keep)
            drawn = seeds[number * count : (number + 1) * count]
            if "seed" in row.fields:
                drawn = assign(whole("seed", row.fields["seed"]), count)
        except ValueError as error:
            raise ValueError(f"{row.place}: {error}") from None
        for k, one in enumerate(drawn):
            entries.append(Entry(name if count == 1 else f"{name}-{k}", row.prompt, one, {**options, **own}, tags))
    _check_kept(rows, keep)
    _check_unique(entries, [row.place for row in rows for _ in range(count)])
    return entries


def _read_fields(row: Row, keep: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row's own options and its tags."""
    options, tags = {}, dict(row.tags)
    for name, value in row.fields.items():
        if name in OPTIONS:
            options[name] = checked(name, value)
        elif name in keep:
            tags[name] = value
        elif name not in ("id", "seed"):
            known = ["id", "seed", *OPTIONS]
            near = meant(name, [*known, "prompt"])
            raise ValueError(
                f"there is no setting {name!r}{near}; there are {', '.join(known)}, and columns named by --keep"
            )
    return options, tags


def _check_kept(rows: Sequence[Row], keep: Sequence[str]) -> None:
    for name in keep:
        if name in OPTIONS or name in ("prompt", "id", "seed"):
            raise ValueError(f"the results hold {name!r} anyway: nothing to keep")
        if not any(name in row.fields for row in rows):
            columns = dict.fromkeys(column for row in rows for column in row.fields)
            raise ValueError(f"there is no column {name!r} to keep{meant(name, columns)}")


def _name(value: object) -> str:
    name = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not NAME.fullmatch(name) or len(name.encode()) > LONGEST:
        raise ValueError(
            f"an id must be a file's name, of letters, digits, '-', '_' and '.' and at most {LONGEST} bytes, "
            f"not {value!r}"
        )
    return name


def _check_unique(entries: Sequence[Entry], places: Sequence[str]) -> None:
    """No two names may be one on a disk that ignores case."""
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries):
        before = seen.setdefault(unicodedata.normalize("NFKC", entry.id).casefold(), number)
        if before != number:
            raise ValueError(f"{places[number]}: the id {entry.id!r} is taken by {places[before]}")
