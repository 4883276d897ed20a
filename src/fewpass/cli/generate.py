"""`fewpass generate`."""

import dataclasses
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewpass.cli import options as o
from fewpass.cli.prompts import read_prompts
from fewpass.cli.terminal import load_torch, open_model
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import replace
from fewpass.io.targets import Target, output_file
from fewpass.viz.progress import committed_tokens

if TYPE_CHECKING:
    from fewpass.core.canvas import Canvas
    from fewpass.engine.result import Result


def generate(
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", help="Prompts, each in quotes.")] = None,
    prompts: Annotated[str | None, o.option("FILE", f"More prompts: {o.FILES}")] = None,
    source: Annotated[str | None, o.option("FILE", "Draw the image of this PNG of fewpass again.", "--from")] = None,
    output: Annotated[str, o.option("PATH", "A .png file, or a folder; replaces files.", "--output", "-o")] = ".",
    model: Annotated[str | None, o.option("NAME", f"{o.MODEL}; by default emoji.")] = None,
    options: GenerationOptions = o.DEFAULT,
    window: Annotated[int | None, o.number("Window of the decoder: drafts per forward pass.", None)] = None,
    count: o.Count = 1,
    steps: Annotated[str | None, o.option("FILE", "A .gif file: the image after each forward pass.")] = None,
    batch_size: o.BatchSize = 16,
    place: o.Place = o.Place(),
) -> None:
    """Draw images of prompts, and print their forward passes. Each file holds the settings that draw it again."""
    chosen = {"prompt": prompt, "prompts": prompts, "window": window, **options.given}
    kept = {} if source is None else _settings_of(source, count, chosen)
    texts = [str(kept["prompt"])] if kept else read_prompts(prompt or [], prompts)
    images = len(texts) * count
    target = Target.of(output, images)
    if steps is not None and images > 1:
        raise ValueError(f"{steps!r} can show one image, not {images}")
    animation, canvases = None if steps is None else output_file(steps, ".gif"), list["Canvas"]()

    started = time.monotonic()
    load_torch()

    from fewpass.decoders import decoder as decoder_of
    from fewpass.engine.result import total_line
    from fewpass.engine.seeds import assign
    from fewpass.pipeline import BLANK
    from fewpass.viz.encode import gif

    # Everything that can be checked without the model is checked before it is loaded.
    if window is not None:
        named = decoder_of("jacobi_ngram" if options.decoder is None else options.decoder)
        options = dataclasses.replace(options, decoder=named.with_options(window=window))
    call, seeds = options.checked().given, assign(options.seed, images)
    dtype = kept.get("dtype") if place.dtype is None else place.dtype
    name = kept.get("model", "emoji") if model is None else model
    pipe = open_model(name, dataclasses.replace(place, dtype=dtype))
    loading, seconds = time.monotonic() - started, 0.0
    with committed_tokens(images) as progress:

        def on_step(canvas: "Canvas") -> None:
            if animation:
                canvases.append(canvas.select(canvas.length.new_zeros(1)))
            progress(canvas)

        for start in range(0, images, batch_size):
            numbers = range(start, min(start + batch_size, images))
            if kept:
                result = pipe.again(kept | ({"model": pipe.model.name} if model else {}), on_step=on_step)
            else:
                given = [texts[n // count] for n in numbers]
                result = pipe(given, **call | {"seed": seeds[start : numbers.stop]}, on_step=on_step)
            seconds += result.trace.seconds
            _save(result, target, start)
    if animation:
        replace(animation, gif([pipe.render(canvas)[0] for canvas in canvases], BLANK))
        print(f"{animation}: {len(canvases)} frames")
    shared = result.settings[0]
    print(total_line(images, seconds, loading, shared["decoder"], shared["lossless"]))


def _save(result: "Result", target: Target, first: int) -> None:
    """Write the images of a batch, the first of which has the number `first`, and print their passes."""
    from fewpass.engine.result import image_line, record
    from fewpass.io.png_metadata import png

    target.make()
    for i, image in enumerate(result.images):
        path = target.file(first + i, str(result.settings[i]["prompt"]), result.seeds[i])
        replace(path, png(image, record(result, i)))
        print(f"{path}: {image_line(result, i)}")


def _settings_of(source: str, count: int, chosen: Mapping[str, object]) -> dict[str, Any]:
    """The settings in an image. Raises ValueError if it holds none, or others were chosen on the command line."""
    others = [name for name, value in chosen.items() if value not in (None, [])] + ["count"] * (count != 1)
    if others:
        raise ValueError(f"{others[0]} has no effect with --from: {source!r} is drawn with its own settings")

    from fewpass.io.png_metadata import read_settings

    settings = read_settings(source)
    if "prompt" not in settings:
        raise ValueError(f"{source!r} does not hold the settings of one image")
    return settings
