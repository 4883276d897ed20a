"""The two files that a benchmark leaves."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fewpass.bench import figure, figures, words
from fewpass.bench.run import Benchmark
from fewpass.evaluation.machine import machine, versions
from fewpass.files import replace
from fewpass.prompts import written

NAMES = ("bench.json", "bench.png")


def report(bench: Benchmark, threads: int, notes: Sequence[str]) -> dict[str, Any]:
    """All that was found, and where and how; `notes` are what a reader has to know before he believes it."""
    task, plan, model = bench.task, bench.plan, bench.task.model
    stored = figures.memory_of(bench)
    return {
        "conditions": words.conditions(bench),
        "notes": [*notes, *bench.notes, *words.disagreements(stored["one_image"])],
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
        "decoders": figures.contest(bench),
        "windows": figures.windows(bench),
        "batches": figures.batches(bench),
        "memory": stored,
        "traces": figures.drawn_traces(bench) if bench.traces is None else figures.trace_records(bench.traces),
    }


def write(folder: Path, found: Mapping[str, Any]) -> list[Path]:
    """`bench.json` and `bench.png`: both are made before either is written."""
    contents = json.dumps(found, indent=1).encode(), figure.draw(found)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in NAMES]
    for path, content in zip(paths, contents, strict=True):
        replace(path, content)
    return paths
