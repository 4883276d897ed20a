"""The outcome of each entry, its line in the results, and the results as a Parquet file."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fewpass.batch.entries import Entry
from fewpass.io.atomic import replace

ABOUT = ("id", "tags", "options", "versions", "trace")  # keys of a record that are no settings
COLUMNS = {
    "id": "string",
    "status": "string",
    "image": "string",
    "error": "string",
    "prompt": "string",
    "seed": "int64",
    "model": "string",
    "decoder": "string",
    "lossless": "bool_",
    "guidance": "float64",
    "temperature": "float64",
    "top_k": "int64",
    "top_p": "float64",
    "min_p": "float64",
    "negative_prompt": "string",
    "device": "string",
    "dtype": "string",
    "width": "int64",
    "height": "int64",
    "passes": "int64",
    "tokens_per_pass": "float64",
    "seconds": "float64",
    "settings": "string",  # JSON, all of them
    "tags": "string",  # JSON: benchmarks differ
}


@dataclass(frozen=True)
class Drawn:
    """A PNG file that holds `record`: the settings that draw it again, and its trace."""

    entry: Entry
    png: bytes
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """An error in one line."""

    entry: Entry
    error: str


Outcome = Drawn | Failed


def file_of(entry: Entry) -> str:
    """The file name of an entry's image."""
    return f"{entry.id}.png"


def drawn_line(entry: Entry, record: Mapping[str, Any]) -> dict[str, Any]:
    """The line of the results for an image with this record; its `settings` draw the image again."""
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
    """The line of the results for an entry that has failed."""
    return {
        "id": entry.id,
        "status": "failed",
        "error": error,
        "prompt": entry.prompt,
        "seed": entry.seed,
        "options": dict(entry.options),
        "tags": dict(entry.tags),
    }


def check_parquet() -> None:
    """Raise ImportError if pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise ImportError('--parquet needs pyarrow: pip install "fewpass[parquet]"')


def write_parquet(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write the lines of the results as a table, with null for keys that a line lacks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
    rows = [{name: _cell(value) for name, value in {**line.get("settings", {}), **line}.items()} for line in lines]
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), data)
    replace(path, data.getvalue())


def _cell(value: Any) -> Any:
    r"""A value of a column: lists and dicts as JSON, and bytes of a path that are not UTF-8 as `\udcff`."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return json.dumps(value) if isinstance(value, dict | list) else value
