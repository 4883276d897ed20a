"""`fewpass batch`"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewpass.cli import options as o
from fewpass.cli.optional import check_ray
from fewpass.cli.terminal import load_torch, open_model
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import located
from fewpass.io.prompt_files import read_rows
from fewpass.viz.progress import images_drawn

if TYPE_CHECKING:
    from fewpass.batch.entries import Entry
    from fewpass.batch.fleet import Fleet
    from fewpass.batch.outcome import Outcome

    DrawSome = Callable[[Sequence[Entry], int], Iterator[Outcome]]


@o.with_options()
def batch(
    file: Annotated[str, typer.Argument(metavar="FILE", help=f"Prompts: {o.FILES}")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FOLDER", help="New, or that of an earlier start.")],
    model: o.Model = "emoji",
    options: GenerationOptions = o.DEFAULT,
    count: o.Count = 1,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to copy into the results; may come again.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(parser=o.at_least_one, metavar="N", help="Images drawn at once: a matter of memory.")
    ] = 16,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write results.parquet too.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed prompts again.")] = False,
    ray: o.Ray = None,
    workers: Annotated[
        int | None,
        typer.Option(parser=o.at_least_one, metavar="N", help="Of the cluster; as many as fit if not given."),
    ] = None,
    cores: o.Cores = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    compile: o.Compile = False,
) -> int:
    """Draw the prompts of a file into a folder; started again after any interruption, go on.

    Columns id, seed and those of the options, such as decoder or guidance, hold for their row. The exit
    code is 1 if a prompt has failed.
    """
    rows = read_rows(file)

    load_torch()

    from rich.console import Console

    from fewpass.batch.entries import digest, entries_of
    from fewpass.batch.folder import Folder
    from fewpass.batch.options import checked
    from fewpass.batch.parquet import check_parquet, write_parquet
    from fewpass.engine.seeds import assign

    if parquet:
        check_parquet()
    shared = {name: checked(name, value) for name, value in options.given.items() if name != "seed"}
    fleet = _fleet(ray, workers, cores, model, device, dtype, compile)
    folder = Folder(_path(output))
    with folder.locked():
        earlier = folder.run() or {}
        seed = earlier.get("seed") if options.seed is None else options.seed
        (first,) = assign(seed, 1)  # that of an earlier start, or drawn now
        entries = entries_of(rows, shared, first, count, keep or [])
        run = {"model": model, "dtype": dtype, "seed": first, "images": len(entries), "digest": digest(entries)}
        folder.check(run)
        with Console(stderr=True).status("reading the images that are there"):
            left, damaged = folder.left(run, entries, retry_failed)
        for note in damaged:
            print(note, file=sys.stderr)
        draw_some = (fleet.draw if fleet else _alone(model, device, dtype, compile, shared)) if left else None
        folder.begin(run)
        if draw_some:
            with images_drawn(len(entries), len(entries) - len(left)) as show:
                for outcome in draw_some(left, batch_size):
                    folder.save(outcome)
                    show()
        lines = folder.finish(entries)
        if parquet:
            write_parquet(folder.path / "results.parquet", lines)
    failed = sum(line["status"] == "failed" for line in lines)
    print(f"{len(lines) - failed} images in {str(folder.images)!r}")
    if failed:
        print(f"{failed} failed, see {str(folder.results)!r}", file=sys.stderr)
    return 1 if failed else 0


def _alone(model: str, device: str | None, dtype: str | None, compile: bool, options: Mapping[str, Any]) -> "DrawSome":
    """Drawing in this process. Raises ValueError for a model that cannot draw, or a size that no row could have."""
    from fewpass.batch.draw import draw

    pipe = open_model(model, device, dtype, compile)
    pipe.model.name = model  # as the user spells it: the images of a run are told from others by it
    pipe.model.check_ready()
    pipe.model.grid(options.get("size"))
    return partial(draw, pipe, dtype)


def _fleet(
    address: str | None,
    workers: int | None,
    cores: int | None,
    model: str,
    device: str | None,
    dtype: str | None,
    compile: bool,
) -> "Fleet | None":
    """The fleet asked for with --ray."""
    check_ray(address, workers=workers, cores=cores)
    if address is None:
        return None
    from fewpass.batch.fleet import Fleet

    fleet = Fleet(address, model, device, dtype, workers, cores, compile)
    fleet.check()
    return fleet


def _path(typed: str) -> Path:
    if not typed or "\0" in typed:
        raise ValueError(f"an output must be a folder, not {typed!r}")
    return located(typed)
