"""`fewpass eval`."""

import math
import shlex
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model, show
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import located
from fewpass.io.targets import output_folder
from fewpass.viz.progress import Step, do, waiting

if TYPE_CHECKING:
    from fewpass.evaluation.drawer import Drawer, Trial
    from fewpass.evaluation.folder import Item, RunFolder
    from fewpass.evaluation.joint_law import LawRow
    from fewpass.io.prompt_files import Row

LAW_IMAGES, FEWEST = 50_000, 10_000  # below that, too few images of the toy have counts that a test can use
PAIRS = 50


def evaluate(
    context: typer.Context,
    output: Annotated[str, o.option("FOLDER", "Folder of images and report.", "--output", "-o")] = "evaluation",
    model: o.Model = "emoji",
    prompts: Annotated[str | None, o.option("FILE", f"Prompts, by default held-out ones of emoji: {o.FILES}")] = None,
    decoders: o.Decoders = "all",
    limit: Annotated[int | None, o.number("Use N prompts; --pairs and --law-images shrink in proportion.")] = None,
    count: o.Count = 1,
    pairs: Annotated[int | None, o.number(f"Prompts drawn twice, for diversity; by default {PAIRS}.", None)] = None,
    options: GenerationOptions = o.DEFAULT,
    seed: Annotated[int, o.number("Seed of the first prompt.", None)] = 0,
    batch_size: o.BatchSize = 1,
    law_images: Annotated[int | None, o.number("Toy images per figure of the joint law, 0 for none.", None)] = None,
    benchmarks: Annotated[str, o.option("NAMES", "Layouts: geneval, t2i-compbench, dpg-bench, hpsv2.")] = "",
    reference: Annotated[str | None, o.option("FOLDER", "Real images, for FID.")] = None,
    clip: Annotated[str | None, o.option("NAME", "CLIP model that is on disk.")] = None,
    inception: Annotated[str | None, o.option("FILE", "Weights of Inception.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in the folder.")] = False,
    place: o.Place = o.Place(),
) -> int:
    """Draw the same prompts with several decoders, and report their speed and quality.

    The exit code is 1 if a figure of the report could not be drawn.
    """
    load_torch()

    from fewpass.evaluation.folder import RunFolder

    folder = RunFolder(output_folder(output))
    folder.check(resume)
    if pairs is not None and pairs < 0:
        raise ValueError(f"pairs must be a number of prompts, not {pairs}")
    if law_images and law_images < FEWEST:
        raise ValueError(f"law_images must be 0 or at least {FEWEST}, got {law_images}")
    conditions = options.checked()

    from fewpass.evaluation.benchmarks import benchmarks_of
    from fewpass.evaluation.drawer import Drawer, Trial
    from fewpass.evaluation.folder import items_of
    from fewpass.evaluation.joint_law import LawRow
    from fewpass.evaluation.metrics import CLIP, INCEPTION
    from fewpass.evaluation.run import Evaluation, Tools, settings_of
    from fewpass.evaluation.summary import cells, columns
    from fewpass.io.extra import check_installed
    from fewpass.models.zoo import BUNDLED

    check_installed()
    chosen = o.read_decoders(decoders)
    rows, source = _prompts(prompts, model in BUNDLED, model)
    share = min(1.0, (limit or len(rows)) / len(rows))
    twice = math.ceil(PAIRS * share) if pairs is None else pairs
    items, exports = items_of(rows[:limit], count, twice, seed), benchmarks_of(benchmarks)
    for benchmark in exports:
        benchmark.check(rows[:limit])
    tools = Tools(
        clip or CLIP,
        located(inception) if inception else INCEPTION,
        None if reference is None else _reference(reference),
    )
    images, skipped = _law_images(law_images, model in BUNDLED, share)

    pipe = open_model(model, place)
    drawer, fitting = Drawer(pipe, place.dtype, conditions, batch_size), list[Trial]()
    with waiting("trying the decoders"):
        for trial in drawer.trials(chosen, items):
            if trial.reason is None:
                fitting.append(trial)
            elif decoders.strip() == "all":
                reason = trial.reason.removeprefix(f"{trial.decoder}: ")
                skipped.append(f"{trial.decoder}: not supported by this model ({reason}).")
            else:
                raise ValueError(trial.reason)
    settings = settings_of(pipe, place.dtype, conditions, seed, batch_size)
    folder.begin(settings)
    law = list[LawRow]()
    steps = [*_law(law, folder, images), *_drawing(folder, drawer, fitting, items)]
    _print_plan(steps, len(fitting), items, images, skipped)
    do(steps, "evaluation")
    evaluation = Evaluation(
        folder,
        settings,
        drawer.bound.grid,
        [trial.decoder for trial in fitting],
        items,
        source,
        tools,
        exports,
        law,
        images,
        _command(context),
        skipped,
    )
    with waiting("measuring, and writing the report"):
        summaries, failed = evaluation.conclude()
    show(columns(summaries), [cells(summary) for summary in summaries])
    print(*failed, folder.path / "report.html", sep="\n", file=sys.stderr)
    return 1 if failed else 0


def _law_images(asked: int | None, bundled: bool, share: float) -> tuple[int, list[str]]:
    """Toy images for each figure of the law, by default the same `share` as of the prompts, and why there are none."""
    if asked:
        return asked, []
    images = int(LAW_IMAGES * share)
    if asked is None and bundled and images >= FEWEST:
        return images, []
    why = f"; --limit leaves {images} images for a figure, fewer than {FEWEST}"
    why = why if asked is None and bundled else ""
    return 0, [f"The law on the toy model (--law-images); it does not depend on the model{why}."]


def _command(context: typer.Context) -> str:
    """The command line that repeats the run in an empty folder."""
    words = ["fewpass", str(context.info_name)]
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source is not None and source.name == "COMMANDLINE" and option.name != "resume":
            words += [option.opts[0], str(context.params[str(option.name)])]
    return shlex.join(words)


def _prompts(typed: str | None, bundled: bool, model: str) -> "tuple[list[Row], str]":
    """The prompts, and their description for the report."""
    from fewpass.io.prompt_files import Row, read_rows
    from fewpass.models.emoji.scenes import evaluation_prompts

    if typed is not None:
        rows = read_rows(typed)
        o.print_unused(typed, [row.fields for row in rows])
        return rows, f"prompts of {Path(typed).name}"
    if not bundled:
        raise ValueError(f"{model!r} has no prompts of its own: give a file with --prompts")
    return [Row(text, f"held-out prompt {n}") for n, text in enumerate(evaluation_prompts())], "held-out prompts"


def _reference(typed: str) -> Path:
    if not (folder := located(typed)).is_dir():
        raise ValueError(f"there is no folder {typed!r} of real images")
    return folder


def _law(rows: "list[LawRow]", folder: "RunFolder", images: int) -> list[Step]:
    """Steps that each append one row of the law to `rows`."""
    from fewpass.evaluation.joint_law import measured, seconds_of_a_row, subjects

    if not images:
        return []
    left, seconds = measured(folder, images), seconds_of_a_row(images)
    return [Step(f"law, {name}", seconds, lambda: rows.append(next(left)), f"law, {name}") for name, *_ in subjects()]


def _drawing(folder: "RunFolder", drawer: "Drawer", trials: "list[Trial]", items: "list[Item]") -> Iterator[Step]:
    """Steps in which all decoders draw a batch before any draws the next, so that they share the machine's load."""
    for start in range(0, len(items), drawer.batch_size):
        batch = items[start : start + drawer.batch_size]
        for trial in trials:
            missing = sum(not folder.image(str(trial.decoder), item).exists() for item in batch)
            yield Step(
                f"image {start + 1}, {trial.decoder}",
                trial.seconds * missing / drawer.batch_size,
                partial(drawer.draw, folder, trial.decoder, batch),
                str(trial.decoder),
            )


def _print_plan(steps: list[Step], decoders: int, items: "list[Item]", images: int, skipped: list[str]) -> None:
    """Print the number of images, the estimated time, and the parts that are left out."""
    prompts = len({item.number for item in items})
    plan = [f"images of {prompts} prompts: {len(items)} with each of {decoders} decoders"]
    plan += [f"{images} toy images for each figure of the law"] * (images > 0)
    total = f"{', and '.join(plan)}; about {timedelta(seconds=round(sum(step.cost for step in steps)))} on this machine"
    print(total, *(f"left out: {reason}" for reason in skipped), sep="\n", file=sys.stderr, flush=True)
