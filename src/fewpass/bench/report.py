"""The two files of a benchmark: `bench.json` and `bench.png`."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fewpass.bench import plots, statistics, summary
from fewpass.bench.run import Benchmark
from fewpass.engine.request import written
from fewpass.io.atomic import replace
from fewpass.io.machine import machine, versions
from fewpass.models.weights import one_line

NAMES = ("bench.json", "bench.png")


def report(bench: Benchmark, threads: int, notes: Sequence[str]) -> dict[str, Any]:
    """All results, with settings, machine, versions and `notes` for the reader."""
    task, plan, model = bench.task, bench.plan, bench.task.model
    stored, windows, decoders = (
        statistics.memory_record(bench),
        statistics.window_rows(bench),
        statistics.decoder_rows(bench),
    )
    return {
        "conditions": summary.conditions(bench),
        "notes": [
            *notes,
            *bench.notes,
            *summary.contradictions(windows, decoders),
            *summary.disagreements(stored["one_image"]),
        ],
        "machine": machine(model.device),
        "load_of_the_machine": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": versions(),
        "settings": {
            "model": model.name,
            "random_weights": bench.traces is not None,
            "guidance": task.settings.guidance,
            **asdict(task.sampling),
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
        "batches": statistics.batch_rows(bench),
        "memory": stored,
        "traces": statistics.drawn_traces(bench) if bench.traces is None else statistics.trace_records(bench.traces),
    }


def write(folder: Path, found: Mapping[str, Any]) -> tuple[list[Path], str | None]:
    """Write both files. Returns their paths, and an error if the figure could not be drawn, which is noted too."""
    try:
        picture, failed = plots.draw(found), None
    except Exception as error:  # the figure must not cost the measurements
        picture, failed = None, f"{NAMES[1]} could not be drawn: {one_line(error) or type(error).__name__}."
        found = {**found, "notes": [*found["notes"], failed]}
    folder.mkdir(parents=True, exist_ok=True)
    contents = zip(NAMES, (json.dumps(found, indent=1).encode(), picture), strict=True)
    paths = {folder / name: content for name, content in contents if content is not None}
    for path, content in paths.items():
        replace(path, content)
    return list(paths), failed
