"""The results of a benchmark as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

Table = tuple[Sequence[str], list[list[str]]]  # the heading, and the rows


def tables(results: Mapping[str, Any]) -> list[Table]:
    """Tables of decoders, of single passes by window, and of batches."""
    images = [
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
    passes = [
        [
            row["decoder"],
            str(row["window"]),
            f"{1000 * row['pass_seconds']:.3g}",
            f"{100 * row['outside_the_model']:.0f} %",
        ]
        for row in results["windows"]
    ]
    batches = [[row["decoder"], str(row["batch"]), f"{row['images_per_second']:.3g}"] for row in results["batches"]]
    return [
        (("decoder", "passes", "tokens per pass", "seconds", "ms per pass", "than ar"), images),
        (("decoder", "window", "ms per pass", "outside the model"), passes),
        (("decoder", "batch", "images per second"), batches),
    ]
