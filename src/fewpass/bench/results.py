"""The results of a benchmark, medians and ratios within one run, and their tables."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import torch

from fewpass.bench.run import Benchmark
from fewpass.bench.timing import Drawn, process_peak
from fewpass.engine.memory import cache_bytes
from fewpass.engine.prompts import written
from fewpass.engine.result import conditions as sampling_words
from fewpass.io.machine import machine, versions

Table = tuple[Sequence[str], list[list[str]]]  # the heading, and the rows


def results(bench: Benchmark, notes: Sequence[str]) -> dict[str, Any]:
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
    }


def settings(bench: Benchmark) -> dict[str, Any]:
    """The settings of all measurements."""
    task, model = bench.task, bench.task.model
    return {
        "model": model.name,
        "random_weights": task.random_weights,
        "guidance": task.settings.guidance,
        **asdict(task.settings.sampling),
        "tokens": task.tokens,
        "codes": task.settings.grid.vocab,
        "prompts": [written(prompt) for prompt in task.prompts],
        "repetitions": bench.repetitions,
        "passes_timed": bench.passes,
        "threads": torch.get_num_threads(),
        "device": str(model.device),
        "dtype": str(model.model.dtype).removeprefix("torch."),
    }


def conditions(bench: Benchmark) -> str:
    """Model, sampling, precision and machine in one line."""
    s = settings(bench)
    words = [s["model"], *["random weights"] * s["random_weights"], f"{s['tokens']} tokens of {s['codes']}"]
    return f"{', '.join([*words, sampling_words(s), s['dtype']])}; {machine(bench.task.model.device)}"


def decoder_rows(bench: Benchmark) -> list[dict[str, Any]]:
    """A row for each decoder.

    A ratio is the median of the ratios between two drawings of the same image. The parts of the seconds are those of
    the drawing with the median of the seconds, so that they add up.
    """
    rows = []
    for decoder in bench.decoders:
        drawn = bench.drawn[str(decoder)]
        typical = sorted(drawn, key=lambda d: d.seconds)[(len(drawn) - 1) // 2]
        rows.append(
            {
                "decoder": str(decoder),
                "lossless": decoder.lossless,
                "passes": median(d.passes for d in drawn),
                "tokens_per_pass": median(bench.task.tokens / d.passes for d in drawn),
                "seconds": typical.seconds,
                "prefill_seconds": typical.prefill,
                "pass_seconds": median(d.decode / max(1, d.passes - 1) for d in drawn),
                "detokenise_seconds": typical.detokenise,
                "peak_bytes": _most(drawn),
                "fewer_passes_than_ar": ratio(bench.drawn["ar"], drawn, lambda d: d.passes),
                "faster_than_ar": ratio(bench.drawn["ar"], drawn, lambda d: d.seconds),
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
        for (name, window), passes in bench.timed.items()
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
    """Bytes of the weights and of one image's cache, and the peak of the run: on the GPU, or of the whole process."""
    task, model = bench.task, bench.task.model.model
    on_gpu = task.model.device.type == "cuda"
    drawn = [one for results in (bench.drawn, bench.batches) for several in results.values() for one in several]
    return {
        "weights_bytes": sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers())),
        "cache_bytes": cache_bytes(task.model, task.jobs([0], bench.decoders[0])),
        "peak_bytes": _most(drawn) if on_gpu else process_peak(),
    }


def _most(drawn: Sequence[Drawn]) -> int | None:
    return max((one.peak for one in drawn if one.peak is not None), default=None)


def ratio(than: Sequence[Drawn], drawn: Sequence[Drawn], cost: Callable[[Drawn], float]) -> float:
    """The median of the ratios of a cost between two drawings of the same image."""
    return median(cost(other) / cost(d) for other, d in zip(than, drawn, strict=True))


def tables(found: Mapping[str, Any]) -> list[Table]:
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
        for row in found["decoders"]
    ]
    passes = [
        [
            row["decoder"],
            str(row["window"]),
            f"{1000 * row['pass_seconds']:.3g}",
            f"{100 * row['outside_the_model']:.0f} %",
        ]
        for row in found["windows"]
    ]
    batches = [[row["decoder"], str(row["batch"]), f"{row['images_per_second']:.3g}"] for row in found["batches"]]
    return [
        (("decoder", "passes", "tokens per pass", "seconds", "ms per pass", "than ar"), images),
        (("decoder", "window", "ms per pass", "outside the model"), passes),
        (("decoder", "batch", "images per second"), batches),
    ]
