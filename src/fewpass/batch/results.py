"""The outcome of each entry, its line in the results, and the results as a Parquet file."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewpass.batch.entries import Entry
from fewpass.io.atomic import replace

ABOUT = ("id", "tags", "options", "versions", "trace")  # keys of a record that are no settings
# Columns of results.parquet; `settings` and `tags` are JSON, since benchmarks differ.
COLUMNS = (
    *("id", "status", "image", "error", "prompt", "seed", "model", "decoder", "lossless", "guidance"),
    *("temperature", "top_k", "top_p", "min_p", "negative_prompt", "device", "dtype", "width", "height"),
    *("passes", "tokens_per_pass", "seconds", "settings", "tags"),
)
TYPES = {
    "bool_": ("lossless",),
    "int64": ("seed", "top_k", "width", "height", "passes"),
    "float64": ("guidance", "temperature", "top_p", "min_p", "tokens_per_pass", "seconds"),
}


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


def write_parquet(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write the lines of the results as a table, with null for keys that a line lacks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {name: kind for kind, names in TYPES.items() for name in names}
    schema = pa.schema([(name, getattr(pa, types.get(name, "string"))()) for name in COLUMNS])
    rows = [{name: _cell(value) for name, value in {**line.get("settings", {}), **line}.items()} for line in lines]
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), data)
    replace(path, data.getvalue())


def _cell(value: Any) -> Any:
    r"""A value of a column: lists and dicts as JSON, and bytes of a path that are not UTF-8 as `\udcff`."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return json.dumps(value) if isinstance(value, dict | list) else value
