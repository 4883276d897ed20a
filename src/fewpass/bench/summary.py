"""A benchmark as text: its conditions, its table, and notes on its figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.filesize import decimal

from fewpass.bench.run import Benchmark
from fewpass.io.machine import machine

BUSY = "the machine was busy, too few passes were timed, or timing the parts slowed them down; measure again"
COLUMNS = ("decoder", "passes", "tokens per pass", "seconds", "ms per pass", "than ar", "than transformers")


def conditions(bench: Benchmark) -> str:
    """Model, sampling, precision and machine in one line."""
    task = bench.task
    model, grid, sampling = task.model, task.settings.grid, task.sampling
    parts = [model.name, "random weights, passes as in traces" if bench.traces is not None else ""]
    parts += [f"{grid.size} tokens of {grid.vocab}", f"guidance {task.settings.guidance:g}"]
    parts += [f"temperature {sampling.temperature:g}", f"top-k {sampling.top_k}" if sampling.top_k else ""]
    parts += [f"top-p {sampling.top_p:g}" if sampling.top_p < 1 else ""]
    parts += [f"min-p {sampling.min_p:g}" if sampling.min_p else "", str(model.model.dtype).removeprefix("torch.")]
    return f"{', '.join(filter(None, parts))}; {machine(model.device)}"


def random_weights(source: str) -> str:
    """The note on a benchmark with random weights."""
    return (
        "The weights are random, so this model's acceptance is unknown: the tokens that a pass commits are those of"
        f" {source}, at the same share of the image. Seconds of a pass and memory are measured for this shape; passes,"
        " and so seconds of an image, are only as good as the traces."
    )


def rows(figures: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            row["decoder"],
            f"{row['passes']:g}",
            f"{row['tokens_per_pass']:.2f}",
            f"{row['seconds']:.3g}",
            f"{1000 * row['pass_seconds']:.3g}",
            _times(row["faster_than_ar"]),
            _times(row["faster_than_transformers"]),
        ]
        for row in figures["decoders"]
    ]


def summary(figures: Mapping[str, Any]) -> list[str]:
    """The figures that the table omits; of windows and batches the largest."""
    lines = []
    for row in _last(figures["windows"]):
        if row["outside_the_model"] is not None:
            lines.append(
                f"{row['decoder']}, window {row['window']}: {1000 * row['pass_seconds']:.3g} ms a pass,"
                f" {row['outside_the_model']:.0%} of it outside the model"
            )
    for row in _last(figures["batches"]):
        times = "" if row["times_one_alone"] is None else f", {row['times_one_alone']:.2f} times one alone"
        lines.append(f"{row['decoder']}, {row['batch']} together: {row['images_per_second']:.3g} images/s{times}")
    stored = figures["memory"]
    first, last = figures["decoders"][0], stored["one_image"][-1]
    phases = [("prefill", first["prefill_seconds"]), ("pixels", first["detokenise_seconds"])]
    lines += [f"{phase} {1000 * seconds:.3g} ms" for phase, seconds in phases if seconds is not None]
    lines.append(f"weights {decimal(stored['weights_bytes'])}; KV cache of an image {decimal(last['cache_allocated'])}")
    lines += [
        f"distributions of an image {decimal(one['laws_allocated'])} with {one['decoder']}"
        for one in stored["one_image"]
    ]
    peak = stored["peak_bytes"]
    lines.append(f"peak {'unknown' if peak is None else decimal(peak)}: {stored['peak_is']}")
    return lines


def _last(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last row of every decoder."""
    return list({row["decoder"]: row for row in rows}.values())


def disagreements(stored: Sequence[Mapping[str, Any]]) -> list[str]:
    """Notes on memory whose allocation differs from the prediction from shapes."""
    found = []
    for one in stored:
        stated, allocated = one["cache_stated"], one["cache_at_opening"]
        if stated != allocated:
            found.append(f"{one['decoder']}: KV cache of an image: {allocated} bytes, predicted {stated}.")
    return found


def contradictions(windows: Sequence[Mapping[str, Any]], decoders: Sequence[Mapping[str, Any]]) -> list[str]:
    """Notes on parts that take longer than the whole, as medians of different passes or images may."""
    found = []
    for row in windows:
        inside = inside_seconds(row)
        if inside is not None and row["pass_seconds"] is not None and inside > row["pass_seconds"]:
            found.append(
                f"{row['decoder']}, window {row['window']}: {1000 * inside:.3g} ms inside the model and"
                f" {1000 * row['pass_seconds']:.3g} ms for a whole pass contradict each other"
            )
    for row in decoders:
        parts = (row["prefill_seconds"] or 0.0) + (row["detokenise_seconds"] or 0.0)
        if parts > row["seconds"]:
            found.append(
                f"{row['decoder']}: {parts:.3g} s for the prefill and the pixels and {row['seconds']:.3g} s for"
                " the whole image contradict each other"
            )
    return [f"{one}: {BUSY}." for one in found]


def inside_seconds(row: Mapping[str, Any]) -> float | None:
    """Seconds of a pass in the model's body and head."""
    parts = row["body_seconds"], row["head_seconds"]
    return None if None in parts else sum(parts)


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"
