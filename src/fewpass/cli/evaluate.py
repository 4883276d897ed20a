"""`fewpass eval`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.prompts import own_prompts, print_unused
from fewpass.cli.terminal import load_torch, open_model, show
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import located
from fewpass.io.extra import check_installed
from fewpass.io.lock import locked
from fewpass.io.prompt_files import read_rows
from fewpass.io.prompt_rows import Row
from fewpass.io.targets import output_folder
from fewpass.viz.progress import do, waiting

if TYPE_CHECKING:
    from fewpass.evaluation.run import Evaluation


def evaluate(
    context: typer.Context,
    output: Annotated[str, o.option("FOLDER", "Folder of images and report.", "--output", "-o")] = "evaluation",
    model: o.Model = "emoji",
    prompts: Annotated[str | None, o.option("FILE", f"Prompts, by default the model's own: {o.FILES}")] = None,
    decoders: o.Decoders = "all",
    limit: Annotated[int | None, o.number("Use N prompts.", most=10**6)] = None,
    count: o.Count = 1,
    options: GenerationOptions = o.DEFAULT,
    seed: Annotated[int, o.number("Seed of the first prompt.", None)] = 0,
    batch_size: o.BatchSize = 1,
    benchmarks: Annotated[str, o.option("NAMES", "Layouts: geneval, t2i-compbench, dpg-bench, hpsv2.")] = "",
    reference: Annotated[str | None, o.option("FOLDER", "Real images, for FID.")] = None,
    clip: Annotated[str | None, o.option("NAME", "CLIP model that is on disk.")] = None,
    inception: Annotated[str | None, o.option("FILE", "Weights of Inception.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in the folder.")] = False,
    place: o.Place = o.Place(),
) -> None:
    """Draw the same prompts with several decoders, and report their speed and quality."""
    check_installed("eval", "matplotlib", "jinja2", "torchmetrics")
    load_torch()

    from fewpass.evaluation.folder import RUN, RunFolder

    folder = RunFolder(output_folder(output))
    folder.check(resume)
    conditions = options.checked()

    from fewpass.evaluation.benchmarks import benchmarks_of
    from fewpass.evaluation.folder import items_of
    from fewpass.evaluation.instruments import instruments_of
    from fewpass.evaluation.report import conclude, table
    from fewpass.evaluation.run import Drawer, Evaluation, settings_of

    chosen, exports = o.read_decoders(decoders), benchmarks_of(benchmarks)
    weights = None if inception is None else located(inception)
    real = None if reference is None else _reference(reference)
    typed = None if prompts is None else _typed(prompts)
    pipe = open_model(model, place)
    rows, source = typed or own_prompts(pipe.model, limit)
    if limit is not None and limit > len(rows):
        raise ValueError(f"--limit {limit}: there are {len(rows)} prompts")
    rows = rows[:limit]
    for benchmark in exports:
        benchmark.check(rows)
    items = items_of(rows, count, seed)
    drawer = Drawer(pipe, conditions, batch_size)
    with waiting("reading the prompts"):
        drawer.check(rows)
    fitting, left_out = o.fitting(chosen, decoders, pipe.model, drawer.bound.grid)
    with waiting("warming up"):
        drawer.warm_up(fitting, items)
    instruments, missing = instruments_of(pipe.model.name, len(items), clip, weights, real)
    settings, command = settings_of(drawer, seed), _command(context)
    skipped = [*left_out, *missing]
    run = Evaluation(folder, settings, drawer, fitting, items, source, instruments, exports, command, skipped)
    with locked(folder.path, RUN):
        folder.begin(settings)
        _draw(run)
        with waiting("measuring, and writing the report"):
            summaries = conclude(run)
    show(*table(summaries))
    print(folder.path / "report.html", file=sys.stderr)


def _typed(path: str) -> tuple[list[Row], str]:
    """The prompts of a file, and their description for the report."""
    rows = read_rows(path)
    print_unused(path, [row.fields for row in rows])
    return rows, f"prompts of {Path(path).name}"


def _reference(typed: str) -> Path:
    if not (folder := located(typed)).is_dir():
        raise ValueError(f"there is no folder {typed!r} of real images")
    return folder


def _draw(run: "Evaluation") -> None:
    """Print the number of images and the parts that are left out, and draw."""
    again = f", and {len(run.counterparts)} more with ar" if run.counterparts else ""
    prompts = len({item.number for item in run.items})
    plan = f"images of {prompts} prompts: {len(run.items)} with each of {len(run.decoders)} decoders{again}"
    print(plan, *(f"left out: {reason}" for reason in run.skipped), sep="\n", file=sys.stderr, flush=True)
    do(run.steps(), "evaluation")


def _command(context: typer.Context) -> str:
    """The command line that repeats the run in an empty folder."""
    return shlex.join(["fewpass", *(word for word in context.find_root().obj if word != "--resume")])
