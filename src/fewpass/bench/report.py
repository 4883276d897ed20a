"""The results of a benchmark as a table, and the files that hold them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewpass.bench import plots
from fewpass.io.atomic import replace
from fewpass.viz.style import drawn

COLUMNS = ("decoder", "passes", "tokens per pass", "seconds", "ms per pass", "than ar")


def cells(results: Mapping[str, Any]) -> list[list[str]]:
    """The rows of the table, under `COLUMNS`."""
    return [
        [
            row["decoder"],
            f"{row['passes']:g}",
            f"{row['tokens_per_pass']:.2f}",
            f"{row['seconds']:.3g}",
            f"{1000 * row['pass_seconds']:.3g}",
            f"{row['faster_than_ar']:.2f}x",
        ]
        for row in results["decoders"]
    ]


def write(folder: Path, results: Mapping[str, Any]) -> tuple[list[Path], list[str]]:
    """Write both files. Returns their paths, and an error if the figure could not be drawn, which is noted too."""
    contents, failed = drawn({"bench.png": lambda: plots.draw(results)})
    contents["bench.json"] = json.dumps({**results, "notes": [*results["notes"], *failed]}, indent=1).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        replace(folder / name, content)
    return [folder / name for name in sorted(contents)], failed
