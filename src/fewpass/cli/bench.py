"""`fewpass bench`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model, show, silence_transformers
from fewpass.core.messages import shown
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import check_folder
from fewpass.io.targets import output_folder
from fewpass.viz.progress import do, waiting

if TYPE_CHECKING:
    from fewpass.bench.baseline import Baseline
    from fewpass.bench.replay import Traces
    from fewpass.bench.task import Task
    from fewpass.core.protocol import Decoder
    from fewpass.models.base import Model

DEFAULT = "ar; mc_sjd; jacobi_ngram"


def bench(
    output: Annotated[str, o.option("FOLDER", "Folder of bench.json and bench.png.", "--output", "-o")] = "benchmark",
    model: Annotated[str | None, o.option("NAME", f"{o.MODEL}; by default emoji.")] = None,
    random: Annotated[
        str | None, o.option("CONFIG", "Random weights of a published shape, or of a config.json.")
    ] = None,
    trace: Annotated[
        list[str] | None, o.option("FILE", "Trace for --random, a .png or .json; may be repeated.")
    ] = None,
    decoders: Annotated[
        str | None, o.option("SPELLINGS", f"Decoders separated by ;, or all; by default {DEFAULT}.")
    ] = None,
    prompts: Annotated[str, o.option("N or FILE", f"Number of prompts, or {o.FILES}")] = "3",
    windows: Annotated[str, o.option("NUMBERS", "Windows whose forward pass is timed, or ''.")] = "0 4 8 16 32 64",
    batch_sizes: Annotated[str, o.option("NUMBERS", "Batch sizes whose throughput is measured, or ''.")] = "1 2 4 8",
    repetitions: Annotated[int, o.number("Repetitions of each measurement.")] = 3,
    passes: Annotated[int, o.number("Forward passes timed for each window.")] = 16,
    transformers: Annotated[bool, typer.Option(help="Draw with transformers' generate too, if supported.")] = True,
    options: GenerationOptions = o.DEFAULT,
    threads: Annotated[int | None, o.number("CPU threads.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
) -> int:
    """Measure on this machine: seconds, passes, memory and throughput, by decoder, window and batch size.

    The exit code is 1 if the figure could not be drawn.
    """
    folder = _folder(output)
    if model is not None and random is not None:
        raise ValueError(f"give --model {model!r} or --random {random!r}, not both")
    if trace and random is None:
        raise ValueError(
            f"--trace {trace[0]!r} has no effect without --random: a model with weights accepts drafts by itself"
        )
    drafts, images = _numbers(windows, "windows", 0), _numbers(batch_sizes, "batch_sizes", 1)
    given = _prompts(prompts, random is not None)
    load_torch()
    options = options.checked()

    import torch

    from fewpass.bench import report
    from fewpass.bench.replay import check_traces, read_traces
    from fewpass.bench.run import Benchmark, Plan
    from fewpass.bench.task import Task, own_prompts, random_prompts, usable
    from fewpass.decoders.recipes import ar
    from fewpass.engine.request import bind
    from fewpass.io.extra import needed

    needed("matplotlib")
    traces = read_traces(trace) if trace else None
    chosen = o.read_decoders(("; ".join(traces or {}) or DEFAULT) if decoders is None else decoders)
    chosen = list({str(decoder): decoder for decoder in [ar(), *chosen]}.values())
    if traces is not None:
        check_traces(traces, chosen)
    if threads is not None:
        torch.set_num_threads(threads)
    place, named = o.Place(device, dtype), "emoji" if model is None else model
    own = open_model(named, place).model if random is None else _untrained(random, place)
    settings = bind(own, options)
    if drafts and drafts[-1] > settings.grid.size - 2:
        raise ValueError(f"window {drafts[-1]} is too wide for an image of {settings.grid.size} tokens")
    if isinstance(given, int):
        task = Task(settings, own_prompts(named, given) if random is None else random_prompts(own, given))
    else:
        task = Task(settings, given)
    good, wrong = usable(task, chosen, replayed=random is not None)
    if wrong and (decoders or "").strip() != "all":
        raise wrong[0]
    notes = [f"Left out: {error}." for error in wrong]
    if random is not None:
        source = f"traces in {', '.join(trace or [])}" if trace else "traces of the bundled model, recorded in this run"
        notes.insert(0, report.RANDOM.format(source))
        traces = traces or _recorded(good, len(task.prompts), str(own.device))
    against = _against(task, notes) if transformers else None
    if task.no_pixels is not None:
        notes.append(f"Pixels are not in the seconds: {task.no_pixels}.")
    run = Benchmark(task, Plan(good, drafts, images, repetitions, passes), traces, against)
    do(run.steps(), "measuring")
    found = report.report(run, notes)
    paths, failed = report.write(folder, found)
    show(report.COLUMNS, report.cells(found))
    print(*report.lines(found), *found["notes"], *filter(None, [failed]), *paths, sep="\n", file=sys.stderr)
    return 1 if failed else 0


def _folder(typed: str) -> Path:
    """Raise ValueError if nothing can be written there. Nothing is created yet."""
    path = output_folder(typed)
    check_folder(next(folder for folder in (path, *path.absolute().parents) if folder.exists()))
    return path


def _numbers(typed: str, name: str, least: int) -> list[int]:
    words = typed.replace(",", " ").split()
    if not all(word.isdecimal() and int(word) >= least for word in words):
        raise ValueError(f"{name} must be whole numbers >= {least}, not {shown(typed)}")
    return sorted(set(map(int, words)))


def _prompts(typed: str, random: bool) -> "int | list[str]":
    """The number of prompts, or the prompts of a file."""
    if not typed.isdecimal():
        if random:
            raise ValueError(f"{typed!r}: a model with random weights reads no texts; give a number of prompts")
        return o.read_prompts([], typed)
    if not int(typed):
        raise ValueError(f"prompts must be a number >= 1 or a file, not {typed!r}")
    return int(typed)


def _untrained(source: str, place: o.Place) -> "Model":
    from fewpass.bench.shape import untrained
    from fewpass.runtime.device import chosen_device, chosen_dtype

    where = chosen_device(place.device)
    with waiting(f"building {source}"):
        silence_transformers()
        return untrained(source, where, chosen_dtype(place.dtype, where))


def _recorded(decoders: "Sequence[Decoder]", prompts: int, device: str) -> "Traces":
    """The traces of the bundled model."""
    from fewpass.bench.replay import recorded
    from fewpass.bench.task import own_prompts

    bundled = open_model("emoji", o.Place(device, "float32"))
    with waiting("recording traces of the bundled model"):
        return recorded(bundled, decoders, own_prompts("emoji", prompts))


def _against(task: "Task", notes: list[str]) -> "Baseline | None":
    from fewpass.bench.baseline import baseline_of

    try:
        return baseline_of(task)
    except ValueError as error:
        notes.append(f"Not compared with transformers' generate: {error}.")
        return None
