"""`fewpass generate`"""

import dataclasses
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fewpass.cli import options as o
from fewpass.cli.inputs import read_decoder, read_prompts
from fewpass.cli.terminal import load_torch, open_model
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import replace
from fewpass.io.targets import Target, film_file
from fewpass.viz.progress import committed_tokens


@o.with_options()
def generate(
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", help="Each in quotes.")] = None,
    prompts: Annotated[str | None, typer.Option(metavar="FILE", help=f"More prompts: {o.FILES}")] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Draw again what this PNG of fewpass shows.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="A .png file, or a folder.")] = ".",
    model: Annotated[str | None, typer.Option(metavar="NAME", help=f"{o.MODEL} By default emoji.")] = None,
    options: GenerationOptions = o.DEFAULT,
    window: Annotated[
        int | None, typer.Option(parser=o.whole, metavar="N", help="Instead of the decoder's own window.")
    ] = None,
    count: o.Count = 1,
    steps: Annotated[str | None, typer.Option(metavar="FILE", help="A .gif file: the image as it grew.")] = None,
    together: Annotated[
        int, typer.Option(parser=o.at_least_one, metavar="N", help="Images in one batch: a matter of time and memory.")
    ] = 16,
    device: o.Device = None,
    dtype: o.Dtype = None,
    compile: o.Compile = False,
) -> None:
    """Draw images of prompts and say what they cost. Every file carries the settings that draw it again."""
    chosen = {"prompt": prompt, "prompts": prompts, "window": window, **options.given}
    kept = {} if source is None else _kept(source, count, chosen)
    texts = [str(kept["prompt"])] if kept else read_prompts(prompt or [], prompts)
    images = len(texts) * count
    target, film_path = Target.of(output, images), film_file(steps, images)

    started = time.monotonic()
    load_torch()

    from fewpass.cli.film import Film
    from fewpass.engine.result import image_line, record, total_line
    from fewpass.engine.seeds import assign
    from fewpass.io.png_metadata import png

    # What can be seen to be wrong is said before the model is loaded.
    if window is not None:
        options = dataclasses.replace(options, decoder=read_decoder(str(options.decoder or "jacobi_ngram"), window))
    call, seeds = options.checked().given, assign(options.seed, images)
    pipe = open_model(
        kept.get("model", "emoji") if model is None else model,
        device,
        kept.get("dtype") if dtype is None else dtype,
        compile,
    )
    film, loading, seconds = Film(), time.monotonic() - started, 0.0
    with committed_tokens(images) as progress:
        on_step = film.watch(progress) if film_path else progress
        for start in range(0, images, together):
            numbers = range(start, min(start + together, images))
            if kept:
                result = pipe.again(kept | ({"model": pipe.model.name} if model else {}), on_step=on_step)
            else:
                given = [texts[n // count] for n in numbers]
                result = pipe(given, **call | {"seed": seeds[start : numbers.stop]}, on_step=on_step)
            seconds += result.trace.seconds
            target.make()
            for i, image in enumerate(result.images):
                path = target.file(start + i, str(result.settings[i]["prompt"]), result.seeds[i])
                replace(path, png(image, record(result, i)))
                print(f"{path}: {image_line(result, i)}")
    if film_path:
        replace(film_path, film.gif(pipe))
        print(f"{film_path}: {len(film.canvases)} frames")
    shared = result.settings[0]
    print(total_line(images, seconds, loading, shared["decoder"], shared["lossless"]))


def _kept(source: str, count: int, chosen: Mapping[str, object]) -> dict[str, Any]:
    """The settings in an image. Raises ValueError if others were chosen beside it, or it holds none."""
    others = [name for name, value in chosen.items() if value not in (None, [])] + ["count"] * (count != 1)
    if others:
        raise ValueError(f"{others[0]} has no effect with --from: {source!r} is drawn with its own settings")

    from fewpass.io.png_metadata import read_settings

    kept = read_settings(source)
    if "prompt" not in kept:
        raise ValueError(f"{source!r} does not hold the settings of one image")
    return kept
