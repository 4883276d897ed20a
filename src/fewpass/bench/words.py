"""A benchmark in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from fewpass.bench.run import Benchmark
from fewpass.engine.memory import spelled
from fewpass.io.machine import machine

BUSY = "the machine was busy, too few passes were timed, or timing the parts slowed them down; measure again"
COLUMNS = ("decoder", "passes", "tokens per pass", "seconds", "ms per pass", "than ar", "than transformers")


def conditions(bench: Benchmark) -> str:
    """What was drawn, how, and where: one line."""
    task = bench.task
    model, grid, law = task.model, task.settings.grid, task.law
    words = [model.name, "random weights, passes as in traces" if bench.traces is not None else ""]
    words += [f"{grid.size} tokens of {grid.vocab}", f"guidance {task.settings.guidance:g}"]
    words += [f"temperature {law.temperature:g}", f"top-k {law.top_k}" if law.top_k else ""]
    words += [f"top-p {law.top_p:g}" if law.top_p < 1 else "", f"min-p {law.min_p:g}" if law.min_p else ""]
    words += [str(model.model.dtype).removeprefix("torch.")]
    return f"{', '.join(word for word in words if word)}; {machine(model.device)}"


def borrowed(source: str) -> str:
    """What is to be said wherever weights are random."""
    return (
        "The weights are random, so what this model would accept is not known: how many tokens a pass wins is taken"
        f" from {source}, at the same share of the image. Seconds of a pass and memory are this shape's own; passes,"
        " and so seconds of an image, are as good as that guess."
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
    """What the table leaves out; of windows and batches the largest."""
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
    phases = [("prompt's pass", first["prefill_seconds"]), ("pictures", first["detokenise_seconds"])]
    lines += [f"{what} {1000 * seconds:.3g} ms" for what, seconds in phases if seconds is not None]
    lines.append(f"weights {spelled(stored['weights_bytes'])}; cache of an image {spelled(last['cache_allocated'])}")
    lines += [f"laws of an image {spelled(one['laws_allocated'])} with {one['decoder']}" for one in stored["one_image"]]
    peak = stored["peak_bytes"]
    lines.append(f"peak {'unknown' if peak is None else spelled(peak)}: {stored['peak_is']}")
    return lines


def _last(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last row of every decoder."""
    return list({row["decoder"]: row for row in rows}.values())


def disagreements(stored: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where memory that was allocated is not what shapes say."""
    found = []
    for one in stored:
        for what, stated, allocated in (
            ("cache", one["cache_stated"], one["cache_at_opening"]),
            ("laws", one["laws_stated"], one["laws_allocated"]),
        ):
            if stated != allocated:
                found.append(f"{one['decoder']}: the {what} of an image took {allocated} bytes, not {stated}.")
    return found


def contradictions(windows: Sequence[Mapping[str, Any]], decoders: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where parts take longer than the whole, as medians of different passes or images may say."""
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
                f"{row['decoder']}: {parts:.3g} s for the prompt's pass and the picture and {row['seconds']:.3g} s for"
                " the whole image contradict each other"
            )
    return [f"{one}: {BUSY}." for one in found]


def inside_seconds(row: Mapping[str, Any]) -> float | None:
    """Of a pass, in the model's body and head."""
    parts = row["body_seconds"], row["head_seconds"]
    return None if None in parts else sum(parts)


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"
