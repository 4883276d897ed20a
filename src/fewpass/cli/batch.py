"""`fewpass batch`."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model
from fewpass.engine.options import GenerationOptions
from fewpass.io.prompt_files import read_rows
from fewpass.io.targets import output_folder
from fewpass.viz.progress import images_drawn, waiting

if TYPE_CHECKING:
    from fewpass.batch.entries import Entry, Outcome

    Draw = Callable[[Sequence[Entry], int], Iterator[Outcome]]


def batch(
    file: Annotated[str, typer.Argument(metavar="FILE", help=f"Prompts: {o.FILES}")],
    output: Annotated[str, o.option("FOLDER", "A new folder, or the one of an interrupted run.", "--output", "-o")],
    model: o.Model = "emoji",
    options: GenerationOptions = o.DEFAULT,
    count: o.Count = 1,
    keep: Annotated[list[str] | None, o.option("COLUMN", "Column to copy into the results; may be repeated.")] = None,
    batch_size: o.BatchSize = 16,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Draw failed prompts again.")] = False,
    ray: o.Ray = None,
    workers: Annotated[int | None, o.number("Workers on Ray; by default as many as fit.")] = None,
    cores: o.Cores = None,
    place: o.Place = o.Place(),
) -> int:
    """Draw the prompts of a file into a folder; the same command resumes an interrupted run.

    Columns id, seed and those of the options, such as decoder or guidance, hold for their row. The exit code is 1 if
    a prompt has failed.
    """
    rows = read_rows(file)

    load_torch()

    from fewpass.batch.entries import digest, entries_of, read_options
    from fewpass.batch.folder import Folder
    from fewpass.engine.seeds import assign

    shared = read_options({name: value for name, value in options.given.items() if name != "seed"})
    o.check_ray(ray, workers=workers, cores=cores)
    on_ray = None if ray is None else _on_ray(ray, workers, cores, model, place)
    folder = Folder(output_folder(output))
    with folder.locked():
        earlier = folder.run() or {}
        (first,) = assign(earlier.get("seed") if options.seed is None else options.seed, 1)
        entries = entries_of(rows, shared, first, count, keep or [])
        run = {"model": model, "dtype": place.dtype, "seed": first, "images": len(entries), "digest": digest(entries)}
        folder.check(run)
        with waiting("reading the images of earlier runs"):
            left, damaged = folder.left(run, entries, retry_failed)
        for note in damaged:
            print(note, file=sys.stderr)
        draw = (on_ray or _alone(model, place, shared)) if left else None
        folder.begin(run)
        if draw:
            with images_drawn(len(entries), len(entries) - len(left)) as progress:
                for outcome in draw(left, batch_size):
                    folder.save(outcome)
                    progress()
        lines = folder.finish(entries)
    failed = sum(line["status"] == "failed" for line in lines)
    print(f"{len(lines) - failed} images in {str(folder.images)!r}")
    if failed:
        print(f"{failed} failed, see {str(folder.results)!r}", file=sys.stderr)
    return 1 if failed else 0


def _alone(model: str, place: o.Place, options: Mapping[str, Any]) -> "Draw":
    """Drawing in this process. Raises ValueError for a model that cannot draw, or has no such size."""
    from fewpass.batch.draw import draw

    pipe = open_model(model, place)
    pipe.model.name = model  # as typed: images of a run are recognised by it
    pipe.model.check_ready()
    pipe.model.grid(options.get("size"))
    return partial(draw, pipe)


def _on_ray(address: str, workers: int | None, cores: int | None, model: str, place: o.Place) -> "Draw":
    """Drawing on a Ray cluster. Raises ValueError if it is not installed, or has no such model."""
    from fewpass.batch.workers import draw_on_ray
    from fewpass.integrations.ray import Processes

    processes = Processes(address, model, place.device, place.dtype, workers, cores, place.compile)
    processes.check()
    return partial(draw_on_ray, processes)
