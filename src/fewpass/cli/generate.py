"""`fewpass generate`"""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fewpass.cli import options as o
from fewpass.cli.inputs import check_sampling, read_decoder, read_prompts
from fewpass.cli.terminal import committed_tokens, load_torch, open_model
from fewpass.core.checks import read_size
from fewpass.io.atomic import replace
from fewpass.io.targets import Target, film_file


def generate(
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", help="Each in quotes.")] = None,
    prompts: Annotated[str | None, typer.Option(metavar="FILE", help=f"More prompts: {o.FILES}")] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Draw again what this PNG of fewpass shows.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="A .png file, or a folder.")] = ".",
    model: Annotated[str | None, typer.Option(metavar="NAME", help=f"{o.MODEL} By default emoji.")] = None,
    decoder: o.Decoder = None,
    window: Annotated[
        int | None, typer.Option(parser=o.whole, metavar="N", help="Instead of the decoder's own window.")
    ] = None,
    guidance: o.Guidance = None,
    temperature: o.Temperature = None,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    seed: o.Seed = None,
    count: o.Count = 1,
    size: o.Size = None,
    negative_prompt: o.NegativePrompt = None,
    steps: Annotated[str | None, typer.Option(metavar="FILE", help="A .gif file: the image as it grew.")] = None,
    batch_size: Annotated[
        int, typer.Option(parser=o.at_least_one, metavar="N", help="Images in one batch: a matter of time and memory.")
    ] = 16,
    device: o.Device = None,
    dtype: o.Dtype = None,
    compile: o.Compile = False,
) -> None:
    """Draw images of prompts and say what they cost. Every file carries the settings that draw it again."""
    options: dict[str, Any] = {
        "guidance": guidance,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
        "size": read_size(size),
        "negative_prompt": negative_prompt,
    }
    chosen = {"prompt": prompt, "prompts": prompts, "decoder": decoder, "window": window, **options}
    kept = {} if source is None else _kept(source, count, chosen)
    texts = [str(kept["prompt"])] if kept else read_prompts(prompt or [], prompts)
    images = len(texts) * count
    target, film_path = Target.of(output, images), film_file(steps, images)

    started = time.monotonic()
    load_torch()

    from fewpass.cli.film import Film
    from fewpass.engine.report import image_line, record, total_line
    from fewpass.engine.seeds import assign
    from fewpass.io.png_metadata import png

    # What can be seen to be wrong is said before the model is loaded.
    if decoder is not None or window is not None:
        options["decoder"] = read_decoder("auto" if decoder is None else decoder, window)
    seeds = assign(seed, images)
    check_sampling(temperature, top_k, top_p)
    pipe = open_model(model or kept.get("model", "emoji"), device, dtype or kept.get("dtype"), compile)
    film, loading, seconds = Film(), time.monotonic() - started, 0.0
    with committed_tokens(images) as progress:
        on_step = film.watch(progress) if film_path else progress
        for start in range(0, images, batch_size):
            numbers = range(start, min(start + batch_size, images))
            if kept:
                result = pipe.again(kept | ({"model": pipe.model.name} if model else {}), on_step=on_step)
            else:
                given = [texts[n // count] for n in numbers]
                result = pipe(given, **options | {"seed": seeds[start : numbers.stop]}, on_step=on_step)
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
