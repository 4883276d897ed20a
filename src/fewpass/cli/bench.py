"""`fewpass bench`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

from fewpass.cli import options as o
from fewpass.cli.prompts import own_prompts, read_prompts
from fewpass.cli.terminal import load_torch, open_model, show, silence_transformers
from fewpass.core.messages import shown
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import replace
from fewpass.io.targets import output_folder
from fewpass.viz.progress import do, waiting

if TYPE_CHECKING:
    from fewpass.bench.task import Task
    from fewpass.models.base import Model

MOST = 10**6  # prompts
RANDOM = (
    "The weights are random, and so is the acceptance of drafts: seconds of a pass and memory are those of this shape,"
    " but passes, and seconds of images and batches, of decoders with drafts are not those of a trained model."
)


def bench(
    output: Annotated[str, o.option("FOLDER", "Folder of bench.json.", "--output", "-o")] = "benchmark",
    model: Annotated[str | None, o.option("NAME", f"{o.MODEL}; by default emoji.")] = None,
    random: Annotated[
        str | None, o.option("CONFIG", "Random weights of a published shape, or of a config.json.")
    ] = None,
    decoders: o.Decoders = "ar; mc_sjd; jacobi_ngram",
    prompts: Annotated[str, o.option("N or FILE", f"Number of prompts, or {o.FILES}")] = "3",
    windows: Annotated[str, o.option("NUMBERS", "Windows whose forward pass is timed, or ''.")] = "0 4 8 16 32 64",
    batch_sizes: Annotated[str, o.option("NUMBERS", "Batch sizes whose throughput is measured, or ''.")] = "1 2 4 8",
    repetitions: Annotated[int, o.number("Repetitions of each measurement.")] = 3,
    passes: Annotated[int, o.number("Forward passes timed for each window.")] = 16,
    options: GenerationOptions = o.DEFAULT,
    threads: Annotated[int | None, o.number("CPU threads.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
) -> None:
    """Measure on this machine: seconds, passes, memory and throughput, by decoder, window and batch size."""
    folder = output_folder(output)
    if model is not None and random is not None:
        raise ValueError(f"give --model {model!r} or --random {random!r}, not both")
    drafts, images = _numbers(windows, "windows", 0), _numbers(batch_sizes, "batch_sizes", 1)
    given = _prompts(prompts, random is not None)
    load_torch()
    options = options.checked()

    import torch

    from fewpass.bench.results import results, tables
    from fewpass.bench.run import Benchmark
    from fewpass.decoders.recipes import ar

    chosen = list({str(decoder): decoder for decoder in [ar(), *o.read_decoders(decoders)]}.values())
    if threads is not None:
        torch.set_num_threads(threads)
    place = o.Place(device, dtype)
    own = open_model("emoji" if model is None else model, place).model if random is None else _untrained(random, place)
    task = _task(own, options, given, random is not None)
    if drafts and drafts[-1] > task.tokens - 2:
        raise ValueError(f"window {drafts[-1]} is too wide for an image of {task.tokens} tokens")
    good, left_out = o.fitting(chosen, decoders, own, task.settings.grid)
    notes = [RANDOM] * task.random_weights + [f"Left out: {note}" for note in left_out]
    if task.no_pixels is not None:
        notes.append(f"Pixels are not in the seconds: {task.no_pixels}.")
    run = Benchmark(task, good, drafts, images, repetitions, passes)
    do(run.steps(), "measuring")
    found = results(run, notes)
    folder.mkdir(exist_ok=True)
    replace(folder / "bench.json", json.dumps(found, indent=1).encode())
    for heading, rows in tables(found):
        if rows:
            show(heading, rows)
    print(*found["notes"], folder / "bench.json", sep="\n", file=sys.stderr)


def _numbers(typed: str, name: str, least: int) -> list[int]:
    words = typed.replace(",", " ").split()
    if not all(word.isdecimal() and len(word) < 10 and int(word) >= least for word in words):
        raise ValueError(f"{name} must be whole numbers >= {least}, got {shown(typed)}")
    return sorted(set(map(int, words)))


def _prompts(typed: str, random: bool) -> int | list[str]:
    """The number of prompts, or the prompts of a file."""
    if not typed.isdecimal():
        if random:
            raise ValueError(f"{typed!r}: a model with random weights reads no texts; give a number of prompts")
        return read_prompts([], typed)
    if not 1 <= int(typed[:10]) <= MOST:
        raise ValueError(f"prompts must be a number from 1 to {MOST} or a file, got {shown(typed)}")
    return int(typed)


def _untrained(source: str, place: o.Place) -> "Model":
    from fewpass.bench.shape import untrained
    from fewpass.runtime.device import chosen_device, chosen_dtype

    where = chosen_device(place.device)
    with waiting(f"building {source}"):
        silence_transformers()
        return untrained(source, where, chosen_dtype(place.dtype, where))


def _task(model: "Model", options: GenerationOptions, prompts: int | list[str], random: bool) -> "Task":
    """The images to draw: of the prompts, or of so many random ones or of the model's own."""
    from fewpass.bench.task import Task, random_prompts
    from fewpass.engine.request import bind

    settings = bind(model, options)
    if not isinstance(prompts, int):
        return Task(settings, prompts)
    if random:
        return Task(settings, random_prompts(model, prompts), random_weights=True)
    rows, _ = own_prompts(model, prompts)
    if len(rows) < prompts:
        raise ValueError(f"there are {len(rows)} prompts, got {prompts}: give a file of them")
    return Task(settings, [row.prompt for row in rows[:prompts]])
