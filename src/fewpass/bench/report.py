"""The two files that a benchmark leaves."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fewpass.bench import figure, figures, words
from fewpass.bench.run import Benchmark
from fewpass.engine.request import written
from fewpass.io.atomic import replace
from fewpass.io.machine import machine, versions
from fewpass.models.weights import one_line

NAMES = ("bench.json", "bench.png")


def report(bench: Benchmark, threads: int, notes: Sequence[str]) -> dict[str, Any]:
    """All that was found, and where and how; `notes` are what a reader has to know before he believes it."""
    task, plan, model = bench.task, bench.plan, bench.task.model
    stored, windows, decoders = figures.memory_of(bench), figures.windows(bench), figures.contest(bench)
    return {
        "conditions": words.conditions(bench),
        "notes": [
            *notes,
            *bench.notes,
            *words.contradictions(windows, decoders),
            *words.disagreements(stored["one_image"]),
        ],
        "machine": machine(model.device),
        "load_of_the_machine": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": versions(),
        "settings": {
            "model": model.name,
            "random_weights": bench.traces is not None,
            "guidance": task.settings.guidance,
            **asdict(task.law),
            "tokens": task.tokens,
            "codes": task.settings.grid.vocab,
            "prompts": [written(prompt) for prompt in task.prompts],
            "repetitions": plan.repetitions,
            "passes_timed": plan.passes,
            "threads": threads,
            "device": str(model.device),
            "dtype": str(model.model.dtype).removeprefix("torch."),
        },
        "decoders": decoders,
        "windows": windows,
        "batches": figures.batches(bench),
        "memory": stored,
        "traces": figures.drawn_traces(bench) if bench.traces is None else figures.trace_records(bench.traces),
    }


def write(folder: Path, found: Mapping[str, Any]) -> tuple[list[Path], str | None]:
    """`bench.json` and `bench.png`, and why there is no picture if it could not be drawn: a note says so too."""
    try:
        picture, failed = figure.draw(found), None
    except Exception as error:  # whatever it is, it must not cost the measurements
        picture, failed = None, f"{NAMES[1]} could not be drawn: {one_line(error) or type(error).__name__}."
        found = {**found, "notes": [*found["notes"], failed]}
    folder.mkdir(parents=True, exist_ok=True)
    contents = zip(NAMES, (json.dumps(found, indent=1).encode(), picture), strict=True)
    paths = {folder / name: content for name, content in contents if content is not None}
    for path, content in paths.items():
        replace(path, content)
    return list(paths), failed
