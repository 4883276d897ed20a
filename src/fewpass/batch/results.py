"""What became of an entry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fewpass.batch.entries import Entry


@dataclass(frozen=True)
class Drawn:
    """A PNG file that carries `record`: the settings that draw it again, and what it cost."""

    entry: Entry
    png: bytes
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    entry: Entry
    error: str


Outcome = Drawn | Failed


def file_of(entry: Entry) -> str:
    """The name of an entry's image."""
    return f"{entry.id}.png"


def drawn_line(entry: Entry, record: Mapping[str, Any]) -> dict[str, Any]:
    """What the results say of an image with this record; `settings` draw it again."""
    trace = record["trace"]
    return {
        "id": entry.id,
        "status": "drawn",
        "image": f"images/{file_of(entry)}",
        "prompt": entry.prompt,
        "seed": entry.seed,
        "settings": {key: value for key, value in record.items() if key not in ABOUT},
        "options": dict(entry.options),
        "device": record["device"],
        "dtype": record["dtype"],
        "width": record["size"][0],
        "height": record["size"][1],
        "passes": trace["passes"],
        "tokens_per_pass": trace["tokens_per_pass"],
        "seconds": trace["seconds"],
        "tags": dict(entry.tags),
    }


def failed_line(entry: Entry, error: str) -> dict[str, Any]:
    return {
        "id": entry.id,
        "status": "failed",
        "error": error,
        "prompt": entry.prompt,
        "seed": entry.seed,
        "options": dict(entry.options),
        "tags": dict(entry.tags),
    }


ABOUT = ("id", "tags", "options", "versions", "trace")  # in a record, but no settings
