"""`fewpass bench`"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.inputs import check_sampling, read_decoder, read_prompts, read_size
from fewpass.cli.tables import show
from fewpass.cli.terminal import open_model, waiting
from fewpass.files import check_folder

if TYPE_CHECKING:
    from fewpass.bench.rival import Rival
    from fewpass.bench.run import Step
    from fewpass.bench.task import Task
    from fewpass.bench.traces import Counts, Traces
    from fewpass.decoders import Decoder
    from fewpass.models.base import Model, Prompt

DEFAULT = "ar; mc_sjd; jacobi_recall"


def bench(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FOLDER", help="For bench.json, bench.png.")
    ] = "benchmark",
    model: Annotated[str | None, typer.Option(metavar="NAME", help="As everywhere; emoji if not given.")] = None,
    random: Annotated[
        str | None,
        typer.Option(metavar="CONFIG", help="Instead: a published shape, or where a config.json is; random weights."),
    ] = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="For --random: what was drawn by fewpass, .png or .json. May be repeated."),
    ] = None,
    decoders: Annotated[
        str | None, typer.Option(metavar="SPELLINGS", help=f"With ; between them, or all. By default {DEFAULT!r}.")
    ] = None,
    prompts: Annotated[str, typer.Option(metavar="N or FILE", help="How many, or a file of them, one per line.")] = "3",
    windows: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Drafts in a pass whose cost is measured, or ''.")
    ] = "0 4 8 16 32 64",
    batches: Annotated[
        str, typer.Option(metavar="NUMBERS", help="How many images are drawn together, or ''.")
    ] = "1 2 4 8",
    repetitions: Annotated[int, typer.Option(parser=o.at_least_one, metavar="N", help="Of everything.")] = 3,
    passes: Annotated[int, typer.Option(parser=o.at_least_one, metavar="N", help="Timed for each window.")] = 16,
    transformers: Annotated[
        bool, typer.Option(help="Whether to draw with transformers' own generate too, where it can.")
    ] = True,
    guidance: o.Guidance = None,
    temperature: o.Temperature = None,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    size: o.Size = None,
    threads: Annotated[int | None, typer.Option(parser=o.at_least_one, metavar="N", help="Of the processor.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
) -> None:
    """Measure on this machine: seconds, passes, memory and throughput, by decoder, window and batch."""
    folder, pixels = _folder(output), read_size(size)
    if model is not None and random is not None:
        raise ValueError(f"give --model {model!r} or --random {random!r}, not both")
    if trace and random is None:
        raise ValueError(
            f"--trace {trace[0]!r} has no effect without --random: the model itself decides what it accepts"
        )
    drafts, together = _numbers(windows, "windows", 0), _numbers(batches, "batches", 1)
    texts = None if prompts.isdecimal() else read_prompts([], prompts)
    if prompts.isdecimal() and not int(prompts):
        raise ValueError(f"prompts must be a number >= 1 or a file, not {prompts!r}")
    if random is not None and texts is not None:
        raise ValueError(f"{prompts!r}: a model with random weights reads no texts; give a number of prompts")
    check_sampling(temperature, top_k, top_p)

    import torch

    from fewpass.bench import report, words
    from fewpass.bench.run import Benchmark, Plan
    from fewpass.bench.task import Task, random_prompts
    from fewpass.bench.traces import read_traces, traces_of
    from fewpass.evaluation.extra import needed
    from fewpass.settings import Settings

    needed("matplotlib")
    noted = read_traces(trace) if trace else {}
    chosen = _decoders(decoders, list(noted))
    known = traces_of(noted, chosen) if trace else None
    if threads is not None:
        torch.set_num_threads(threads)
    own = _untrained(random, device, dtype) if random is not None else open_model(model or "emoji", device, dtype).model
    settings = Settings.of(own, None, guidance, temperature, top_k, top_p, pixels, None)
    if drafts and drafts[-1] > settings.grid.size - 2:
        raise ValueError(f"window {drafts[-1]} is too wide for an image of {settings.grid.size} tokens")
    read: Sequence[Prompt]
    if random is not None:
        read = random_prompts(own, int(prompts))
    else:
        read = texts or _held_out(model or "emoji", int(prompts))
    task = Task(settings, read)
    fitting, notes = _fitting(task, chosen, everything=(decoders or "").strip() == "all", replayed=random is not None)
    if random is not None:
        source = f"traces in {', '.join(trace)}" if trace else "traces of the bundled model, recorded in this run"
        notes.insert(0, words.borrowed(source))
        known = _recorded(own.device, fitting, int(prompts)) if known is None else known
    against = _against(task, notes) if transformers else None
    if task.picture_trouble is not None:
        notes.append(f"Pictures are not in the seconds: {task.picture_trouble}.")
    run = Benchmark(task, Plan(fitting, drafts, together, repetitions, passes), known, against)
    _do(list(run.steps()), "measuring")
    found = report.report(run, torch.get_num_threads(), notes)
    paths = report.write(folder, found)
    show(words.COLUMNS, words.rows(found))
    print(*words.summary(found), *found["notes"], *paths, sep="\n", file=sys.stderr)


def _folder(typed: str) -> Path:
    """Raises ValueError if nothing can be written there. Nothing is created yet."""
    if not typed or "\0" in typed:
        raise ValueError(f"an output must be a folder, not {typed!r}")
    path = Path(typed)
    if path.exists() and not path.is_dir():
        raise ValueError(f"cannot write into {typed!r}: it is not a folder")
    check_folder(next(folder for folder in (path, *path.absolute().parents) if folder.exists()))
    return path


def _numbers(typed: str, name: str, least: int) -> list[int]:
    numbers = sorted({o.whole(word) for word in typed.replace(",", " ").split()})
    if numbers and numbers[0] < least:
        raise ValueError(f"{name} must be whole numbers >= {least}, not {typed!r}")
    return numbers


def _decoders(typed: str | None, traced: Sequence[str]) -> "list[Decoder]":
    """Those asked for, autoregression first. By default those traced, if there are any."""
    from fewpass.recipes import RECIPES

    words = DEFAULT if typed is None else "; ".join(RECIPES) if typed.strip() == "all" else typed
    spellings = traced if typed is None and traced else [word for word in words.split(";") if word.strip()]
    if not spellings:
        raise ValueError(f"there is no decoder in {typed!r}")
    chosen = {str(decoder): decoder for decoder in map(read_decoder, ["ar", *spellings])}
    return list(chosen.values())


def _untrained(source: str, device: str | None, dtype: str | None) -> "Model":
    from fewpass.bench.shape import untrained
    from fewpass.device import chosen_device, chosen_dtype

    where = chosen_device(device)
    with waiting(f"building {source}"):
        return untrained(source, where, chosen_dtype(dtype, where))


def _held_out(model: str, number: int) -> list[str]:
    """As many prompts of a bundled model, spread over those it never saw."""
    from fewpass.models import BUNDLED
    from fewpass.models.emoji.scenes import held_out_prompts

    if model not in BUNDLED:
        raise ValueError(f"{model!r} has no prompts of its own: give a file of prompts with --prompts")
    every = held_out_prompts()
    if number > len(every):
        raise ValueError(f"there are {len(every)} prompts, not {number}: give a file of them")
    return [every[i * len(every) // number] for i in range(number)]


def _fitting(
    task: "Task", chosen: "Sequence[Decoder]", everything: bool, replayed: bool
) -> "tuple[list[Decoder], list[str]]":
    """The decoders that the model will do for, and what is to be said of the others. Raises ValueError for those that
    were asked for by name.
    """
    from fewpass.bench import replay
    from fewpass.loop import fitted
    from fewpass.needs import Prospect

    fitting, notes = [], []
    for decoder in chosen:
        try:
            fitted(decoder, Prospect(task.settings.grid, task.model.network.codebook))
            if replayed:
                replay.check(decoder)
        except ValueError as error:
            if not everything:
                raise
            notes.append(f"Left out: {error}.")
        else:
            fitting.append(decoder)
    return fitting, notes


def _recorded(device: object, decoders: "Sequence[Decoder]", number: int) -> "Traces":
    """Traces of the bundled model."""
    from fewpass.bench.run import Step
    from fewpass.bench.traces import recorded

    pipe = open_model("emoji", str(device), "float32")
    found: dict[str, tuple[Counts, ...]] = {}
    drafting = [decoder for decoder in decoders if decoder.margin > 1]
    texts = _held_out("emoji", number)

    def record(decoder: "Decoder", seed: int) -> None:
        counts = recorded(pipe, decoder, texts[seed], seed)
        found[str(decoder)] = (*found.get(str(decoder), ()), counts)

    _do(
        [
            Step(f"{decoder} on the bundled model", 1, lambda d=decoder, s=seed: record(d, s))  # type: ignore[misc]
            for seed in range(number)
            for decoder in drafting
        ],
        "recording traces",
    )
    return found


def _against(task: "Task", notes: list[str]) -> "Rival | None":
    from fewpass.bench.rival import rival_of

    try:
        return rival_of(task)
    except ValueError as error:
        notes.append(f"Not compared with transformers' generate: {error}.")
        return None


def _do(steps: "Iterable[Step]", what: str) -> None:
    """One step after the other, with the time left on a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    steps, console = list(steps), Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=sum(step.passes for step in steps))
        for step in steps:
            progress.update(task, description=escape(step.what))
            step.run()
            progress.advance(task, step.passes)
