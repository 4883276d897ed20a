"""The results as one Parquet file."""

import io
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fewpass.io.atomic import replace

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


def check_parquet() -> None:
    if find_spec("pyarrow") is None:
        raise ValueError('--parquet needs pyarrow: pip install "fewpass[parquet]"')


def write_parquet(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Put the lines of the results into a table at `path`, with null where a line says nothing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
    rows = [{name: _cell(value) for name, value in {**line.get("settings", {}), **line}.items()} for line in lines]
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), data)
    replace(path, data.getvalue())


def _cell(value: Any) -> Any:
    """A value as a column can hold it: JSON for what has parts, and for bytes of a path that are no UTF-8 `\\udcff`."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return json.dumps(value) if isinstance(value, dict | list) else value
