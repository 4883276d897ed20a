"""The outcome of each entry, and its line in the results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fewpass.batch.entries import Entry

ABOUT = ("id", "tags", "options", "versions", "trace")  # keys of a record that are no settings


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
