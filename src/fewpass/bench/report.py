"""The results of a benchmark as text, and the files that hold them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.filesize import decimal

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


def lines(results: Mapping[str, Any]) -> list[str]:
    """The figures that the table omits; of windows and batches the largest."""
    text = [
        f"{row['decoder']}, window {row['window']}: {1000 * row['pass_seconds']:.3g} ms a pass,"
        f" {row['outside_the_model']:.0%} of it outside the model"
        for row in _last(results["windows"])
    ]
    for row in _last(results["batches"]):
        times = "" if row["times_one_alone"] is None else f", {row['times_one_alone']:.2f} times one alone"
        text.append(f"{row['decoder']}, {row['batch']} together: {row['images_per_second']:.3g} images/s{times}")
    first, stored = results["decoders"][0], results["memory"]
    text.append(f"prefill {1000 * first['prefill_seconds']:.3g} ms")
    text += [f"pixels {1000 * seconds:.3g} ms" for seconds in [first["detokenise_seconds"]] if seconds is not None]
    text.append(f"weights {decimal(stored['weights_bytes'])}; KV cache of an image {decimal(stored['cache_bytes'])}")
    peak = stored["peak_bytes"]
    return [*text, f"peak {'unknown' if peak is None else decimal(peak)}: {stored['peak_is']}"]


def write(folder: Path, results: Mapping[str, Any]) -> tuple[list[Path], list[str]]:
    """Write both files. Returns their paths, and an error if the figure could not be drawn, which is noted too."""
    contents, failed = drawn({"bench.png": lambda: plots.draw(results)})
    contents["bench.json"] = json.dumps({**results, "notes": [*results["notes"], *failed]}, indent=1).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        replace(folder / name, content)
    return [folder / name for name in sorted(contents)], failed


def _last(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last row of every decoder."""
    return list({row["decoder"]: row for row in rows}.values())
