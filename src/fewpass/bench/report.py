"""The results of a benchmark: medians, ratios within one run, their text, and the files that hold them."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.filesize import decimal

from fewpass.bench import baseline, plots
from fewpass.bench.run import Benchmark
from fewpass.bench.timing import Drawn, process_peak
from fewpass.engine.memory import cache_bytes
from fewpass.engine.request import written
from fewpass.engine.result import conditions as sampling_words
from fewpass.io.atomic import replace
from fewpass.io.machine import machine, versions
from fewpass.models.weights import one_line

COLUMNS = ("decoder", "passes", "tokens per pass", "seconds", "ms per pass", "than ar", "than transformers")
RANDOM = (
    "The weights are random, so this model's acceptance is unknown: the tokens that a pass commits are those of {},"
    " at the same share of the image. Seconds of a pass and memory are measured for this shape; passes, and so seconds"
    " of an image, are only as good as the traces."
)


def report(bench: Benchmark, notes: Sequence[str]) -> dict[str, Any]:
    """All results, with settings, machine, versions and `notes` for the reader."""
    return {
        "conditions": conditions(bench),
        "notes": [*notes, *bench.notes],
        "machine": machine(bench.task.model.device),
        "load_of_the_machine": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": versions(),
        "settings": settings(bench),
        "decoders": decoder_rows(bench),
        "windows": window_rows(bench),
        "batches": batch_rows(bench),
        "memory": memory(bench),
        "traces": traces(bench),
    }


def settings(bench: Benchmark) -> dict[str, Any]:
    """The settings of all measurements."""
    task, plan, model = bench.task, bench.plan, bench.task.model
    return {
        "model": model.name,
        "random_weights": bench.traces is not None,
        "guidance": task.settings.guidance,
        **asdict(task.settings.sampling),
        "tokens": task.tokens,
        "codes": task.settings.grid.vocab,
        "prompts": [written(prompt) for prompt in task.prompts],
        "repetitions": plan.repetitions,
        "passes_timed": plan.passes,
        "threads": torch.get_num_threads(),
        "device": str(model.device),
        "dtype": str(model.model.dtype).removeprefix("torch."),
    }


def conditions(bench: Benchmark) -> str:
    """Model, sampling, precision and machine in one line."""
    s = settings(bench)
    random = ["random weights, passes as in traces"] * s["random_weights"]
    words = [s["model"], *random, f"{s['tokens']} tokens of {s['codes']}", sampling_words(s), s["dtype"]]
    return f"{', '.join(words)}; {machine(bench.task.model.device)}"


def decoder_rows(bench: Benchmark) -> list[dict[str, Any]]:
    """A row for each decoder.

    A ratio is the median of the ratios between two drawings of the same image. The parts of the seconds are those of
    the drawing with the median of the seconds, so that they add up.
    """
    lossless = {str(d): d.lossless for d in bench.plan.decoders}
    rows = []
    for name, drawn in bench.images.items():
        typical = sorted(drawn, key=lambda d: d.seconds)[(len(drawn) - 1) // 2]
        rows.append(
            {
                "decoder": name,
                "lossless": lossless.get(name),
                "passes": median(d.passes for d in drawn),
                "tokens_per_pass": median(bench.task.tokens / d.passes for d in drawn),
                "seconds": typical.seconds,
                "prefill_seconds": typical.prefill,
                "pass_seconds": median(d.decode / max(1, d.passes - 1) for d in drawn),
                "detokenise_seconds": typical.detokenise,
                "peak_bytes": _most(drawn),
                "fewer_passes_than_ar": _ratio(bench.images["ar"], drawn, lambda d: d.passes),
                "faster_than_ar": _ratio(bench.images["ar"], drawn, lambda d: d.seconds),
                "faster_than_transformers": _ratio(bench.images.get(baseline.NAME), drawn, lambda d: d.seconds),
                "drawings": [{"passes": d.passes, "seconds": d.seconds} for d in drawn],
            }
        )
    return rows


def window_rows(bench: Benchmark) -> list[dict[str, Any]]:
    """A row for each decoder and window: seconds of a pass, and the share of them outside the model."""
    return [
        {
            "decoder": name,
            "window": window,
            "pass_seconds": median(p.seconds for p in passes),
            "outside_the_model": median(1 - p.model_seconds / p.seconds for p in passes),
            "passes_timed": len(passes),
        }
        for (name, window), passes in bench.windows.items()
        if passes
    ]


def batch_rows(bench: Benchmark) -> list[dict[str, Any]]:
    """A row for each decoder and batch size."""
    seconds = {key: median(d.seconds for d in drawn) for key, drawn in bench.batches.items() if drawn}
    return [
        {
            "decoder": name,
            "batch": batch,
            "images_per_second": batch / taken,
            "times_one_alone": batch * seconds[name, 1] / taken if (name, 1) in seconds else None,
            "peak_bytes": _most(bench.batches[name, batch]),
        }
        for (name, batch), taken in seconds.items()
    ]


def memory(bench: Benchmark) -> dict[str, Any]:
    """Bytes of the weights and of one image's cache, and the peak of the whole run."""
    task, model = bench.task, bench.task.model.model
    on_gpu = task.model.device.type == "cuda"
    drawn = [one for results in (bench.images, bench.batches) for several in results.values() for one in several]
    return {
        "weights_bytes": sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers())),
        "cache_bytes": cache_bytes(task.model, task.jobs([0], bench.plan.decoders[0])),
        "peak_bytes": _most(drawn) if on_gpu else process_peak(),
        "peak_is": (
            "the most that was allocated on the GPU (torch.cuda.max_memory_allocated)"
            if on_gpu
            else "the most that the whole process had resident (ru_maxrss), weights and Python included"
        ),
    }


def traces(bench: Benchmark) -> list[dict[str, Any]]:
    """The trace of each image of the first repetition, in the form that `--trace` reads.

    `committed` are the passes at which its tokens became final, `asked` the positions of each pass.
    """
    records = []
    for name, drawn in bench.images.items():
        for trace in [one.trace for one in drawn[: len(bench.task.prompts)] if one.trace is not None]:
            asked = trace.asked[0, : int(trace.passes[0])].tolist()
            records.append({"decoder": name, "trace": {"committed": trace.committed[0].tolist(), "asked": asked}})
    return records


def cells(figures: Mapping[str, Any]) -> list[list[str]]:
    """The rows of the table, under `COLUMNS`."""
    return [
        [
            row["decoder"],
            f"{row['passes']:g}",
            f"{row['tokens_per_pass']:.2f}",
            f"{row['seconds']:.3g}",
            f"{1000 * row['pass_seconds']:.3g}",
            *(
                "-" if ratio is None else f"{ratio:.2f}x"
                for ratio in (row["faster_than_ar"], row["faster_than_transformers"])
            ),
        ]
        for row in figures["decoders"]
    ]


def lines(figures: Mapping[str, Any]) -> list[str]:
    """The figures that the table omits; of windows and batches the largest."""
    text = [
        f"{row['decoder']}, window {row['window']}: {1000 * row['pass_seconds']:.3g} ms a pass,"
        f" {row['outside_the_model']:.0%} of it outside the model"
        for row in _last(figures["windows"])
    ]
    for row in _last(figures["batches"]):
        times = "" if row["times_one_alone"] is None else f", {row['times_one_alone']:.2f} times one alone"
        text.append(f"{row['decoder']}, {row['batch']} together: {row['images_per_second']:.3g} images/s{times}")
    first, stored = figures["decoders"][0], figures["memory"]
    phases = {"prefill": first["prefill_seconds"], "pixels": first["detokenise_seconds"]}
    text += [f"{phase} {1000 * seconds:.3g} ms" for phase, seconds in phases.items() if seconds is not None]
    text.append(f"weights {decimal(stored['weights_bytes'])}; KV cache of an image {decimal(stored['cache_bytes'])}")
    peak = stored["peak_bytes"]
    return [*text, f"peak {'unknown' if peak is None else decimal(peak)}: {stored['peak_is']}"]


def write(folder: Path, figures: Mapping[str, Any]) -> tuple[list[Path], str | None]:
    """Write both files. Returns their paths, and an error if the figure could not be drawn, which is noted too."""
    contents, failed = dict[str, bytes](), None
    try:
        contents["bench.png"] = plots.draw(figures)
    except Exception as error:  # the figure must not cost the measurements
        failed = f"bench.png could not be drawn: {one_line(error) or type(error).__name__}."
        figures = {**figures, "notes": [*figures["notes"], failed]}
    contents["bench.json"] = json.dumps(figures, indent=1).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        replace(folder / name, content)
    return [folder / name for name in sorted(contents)], failed


def _last(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last row of every decoder."""
    return list({row["decoder"]: row for row in rows}.values())


def _most(drawn: Sequence[Drawn]) -> int | None:
    return max((one.peak for one in drawn if one.peak is not None), default=None)


def _ratio(than: Sequence[Drawn] | None, drawn: Sequence[Drawn], cost: Callable[[Drawn], float]) -> float | None:
    return median(cost(other) / cost(d) for other, d in zip(than, drawn, strict=True)) if than else None
