"""`fewpass eval`"""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.inputs import check_sampling, read_decoder, read_size
from fewpass.cli.tables import show
from fewpass.cli.terminal import open_model
from fewpass.files import located

if TYPE_CHECKING:
    from rich.progress import Progress

    from fewpass.decoders import Decoder
    from fewpass.evaluation.drawing import Drawer
    from fewpass.evaluation.folder import RunFolder
    from fewpass.evaluation.items import Item
    from fewpass.evaluation.law import LawRow
    from fewpass.prompt_files import Row

LAW_IMAGES, FEWEST = 50_000, 10_000  # below that, next to no image of the toy is expected often enough to be counted


def evaluate(
    context: typer.Context,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FOLDER", help="Where all goes.")] = "evaluation",
    model: o.Model = "emoji",
    prompts: Annotated[
        str | None, typer.Option(metavar="FILE", help="Or a benchmark's folder; held-out prompts for bundled models.")
    ] = None,
    decoders: o.Decoders = "all",
    limit: Annotated[int | None, typer.Option(parser=o.at_least_one, metavar="N", help="Only N prompts.")] = None,
    count: o.Count = 1,
    pairs: Annotated[
        int, typer.Option(parser=o.whole, metavar="N", help="Prompts, the first ones, drawn twice to see diversity.")
    ] = 50,
    guidance: o.Guidance = None,
    temperature: o.Temperature = None,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    seed: Annotated[int, typer.Option(parser=o.whole, metavar="N", help="Of the first prompt.")] = 0,
    size: o.Size = None,
    negative_prompt: o.NegativePrompt = None,
    together: Annotated[
        int, typer.Option(parser=o.at_least_one, metavar="N", help="Images in one batch, which share its seconds.")
    ] = 1,
    law_images: Annotated[
        int | None,
        typer.Option(parser=o.whole, metavar="N", help="Toy images for each figure of the law, 0 to leave it out."),
    ] = None,
    benchmarks: Annotated[
        str, typer.Option(metavar="NAMES", help="Folders for geneval, t2i-compbench, dpg-bench, hpsv2; commas between.")
    ] = "",
    reference: Annotated[str | None, typer.Option(metavar="FOLDER", help="Real images, for FID.")] = None,
    clip: Annotated[str | None, typer.Option(metavar="NAME", help="A CLIP model that is at hand.")] = None,
    inception: Annotated[str | None, typer.Option(metavar="FILE", help="Weights of Inception.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    device: o.Device = None,
    dtype: o.Dtype = None,
    compile: o.Compile = False,
) -> None:
    """Draw the same prompts with several decoders, and write a report of how fast and how good they are."""
    from fewpass.evaluation.folder import RunFolder

    folder, pixels = RunFolder(_folder(output)), read_size(size)
    folder.check(resume)
    if pairs < 0:
        raise ValueError(f"pairs must be a number of prompts, not {pairs}")
    if law_images and law_images < FEWEST:
        raise ValueError(f"law_images must be 0 or at least {FEWEST}, not {law_images}: fewer show nothing")
    check_sampling(temperature, top_k, top_p)

    from fewpass.evaluation import clip as clips
    from fewpass.evaluation import features, table
    from fewpass.evaluation.drawing import Conditions, Drawer
    from fewpass.evaluation.extra import check_installed
    from fewpass.evaluation.items import items_of
    from fewpass.evaluation.layouts import layouts_of
    from fewpass.evaluation.run import Evaluation, Tools, settings_of
    from fewpass.models import BUNDLED
    from fewpass.recipes import RECIPES

    check_installed()
    everything = decoders.strip() == "all"
    chosen = [read_decoder(s) for s in (RECIPES if everything else decoders.split(";")) if s.strip()]
    chosen = list({str(decoder): decoder for decoder in chosen}.values())
    if not chosen:
        raise ValueError(f"there is no decoder in {decoders!r}")
    rows, source = _prompts(prompts, model in BUNDLED, model)
    items, layouts = items_of(rows[:limit], count, pairs, seed), layouts_of(benchmarks)
    for layout in layouts:
        layout.check(rows[:limit])
    tools = Tools(
        clip or clips.DEFAULT,
        located(inception) if inception else features.INCEPTION,
        None if reference is None else _reference(reference),
    )
    images = (LAW_IMAGES if model in BUNDLED else 0) if law_images is None else law_images

    pipe = open_model(model, device, dtype, compile)
    conditions = Conditions(guidance, temperature, top_k, top_p, pixels, negative_prompt)
    drawer, skipped, fitting = Drawer(pipe, dtype, conditions, together), [], []
    for decoder, reason in drawer.fitting(chosen, items[0].row.prompt):
        if reason is None:
            fitting.append(decoder)
        elif everything:
            skipped.append(f"{decoder}: this model will not do ({reason.removeprefix(f'{decoder}: ')}).")
        else:
            raise ValueError(reason)
    settings = settings_of(pipe, dtype, conditions, seed, together)
    folder.begin(settings)
    if not images:
        skipped.append("The law on the toy model (--law-images); it does not depend on the model.")
    with _progress() as progress:
        law = _law(progress, folder, images) if images else []
        _draw(progress, folder, drawer, fitting, items)
    evaluation = Evaluation(
        folder,
        settings,
        pipe.model.grid(pixels),
        fitting,
        items,
        source,
        tools,
        layouts,
        law,
        images,
        _again(context),
        skipped,
    )
    summaries = evaluation.conclude()
    show(table.columns(summaries), [table.cells(summary) for summary in summaries])
    print(folder.path / "report.html", file=sys.stderr)


def _again(context: typer.Context) -> str:
    """The command that does the same in an empty folder."""
    words = ["fewpass", str(context.info_name)]
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source is not None and source.name == "COMMANDLINE" and option.name != "resume":
            words += [option.opts[0], str(context.params[str(option.name)])]
    return shlex.join(words)


def _folder(typed: str) -> Path:
    if not typed or "\0" in typed:
        raise ValueError(f"an output must be a folder, not {typed!r}")
    return located(typed)


def _prompts(typed: str | None, bundled: bool, model: str) -> "tuple[list[Row], str]":
    """The prompts, and what they are."""
    from fewpass.evaluation.prompts import read_prompts
    from fewpass.models.emoji.scenes import evaluation_prompts
    from fewpass.prompt_files import Row

    if typed is not None:
        return read_prompts(typed), f"prompts of {Path(typed).name}"
    if not bundled:
        raise ValueError(f"{model!r} has no prompts of its own: give a file of prompts with --prompts")
    return [Row(text, f"held-out prompt {n}") for n, text in enumerate(evaluation_prompts())], "held-out prompts"


def _reference(typed: str) -> Path:
    if not (folder := located(typed)).is_dir():
        raise ValueError(f"there is no folder {typed!r} of real images")
    return folder


@contextmanager
def _progress() -> "Iterator[Progress]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def _law(progress: "Progress", folder: "RunFolder", images: int) -> "list[LawRow]":
    from fewpass.evaluation.law import measured, subjects

    rows = measured(folder, images)
    return list(progress.track(rows, total=sum(1 for _ in subjects()), description="law, decoders"))


def _draw(
    progress: "Progress",
    folder: "RunFolder",
    drawer: "Drawer",
    decoders: "list[Decoder]",
    items: "list[Item]",
) -> None:
    """All decoders draw a batch before any draws the next, so that what else the machine does hurts all alike."""
    task = progress.add_task("drawing, images", total=len(decoders) * len(items))
    for start in range(0, len(items), drawer.together):
        batch = items[start : start + drawer.together]
        for decoder in decoders:
            drawer.draw(folder, decoder, batch)
            progress.advance(task, len(batch))
