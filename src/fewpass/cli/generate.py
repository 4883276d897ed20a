"""`fewpass generate`"""

import time
from typing import Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.inputs import check_sampling, read_decoder, read_prompts, read_size
from fewpass.cli.targets import Target, film_file
from fewpass.cli.terminal import committed_tokens, load_torch, open_model
from fewpass.files import replace


def generate(
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", help="Each in quotes.")] = None,
    prompts: Annotated[str | None, typer.Option(metavar="FILE", help=f"More prompts: {o.FILES}")] = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="A .png file, or a folder.")] = ".",
    model: o.Model = "emoji",
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
    together: Annotated[
        int, typer.Option(parser=o.at_least_one, metavar="N", help="Images in one batch: a matter of time and memory.")
    ] = 16,
    device: o.Device = None,
    dtype: o.Dtype = None,
    compile: o.Compile = False,
) -> None:
    """Draw images of prompts and say what they cost. Every file carries the settings that draw it again."""
    texts = [text for text in read_prompts(prompt or [], prompts) for _ in range(count)]
    target, film_path, pixels = Target.of(output, len(texts)), film_file(steps, len(texts)), read_size(size)

    started = time.monotonic()
    load_torch()

    from fewpass.cli.film import Film
    from fewpass.metadata import png
    from fewpass.report import image_line, record, total_line
    from fewpass.seeds import assign

    # What can be seen to be wrong is said before the model is loaded.
    chosen = read_decoder(decoder or "auto", window) if decoder or window is not None else None
    seeds = assign(seed, len(texts))
    check_sampling(temperature, top_k, top_p)
    pipe = open_model(model, device, dtype, compile)
    film, loading, seconds = Film(), time.monotonic() - started, 0.0
    with committed_tokens(len(texts)) as progress:
        for start in range(0, len(texts), together):
            batch = slice(start, start + together)
            result = pipe(
                texts[batch],
                decoder=chosen,
                guidance=guidance,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=seeds[batch],
                size=pixels,
                negative_prompt=negative_prompt,
                on_step=film.watch(progress) if film_path else progress,
            )
            seconds += result.trace.seconds
            target.make()
            for i, image in enumerate(result.images):
                path = target.file(start + i, texts[start + i], result.seeds[i])
                replace(path, png(image, record(pipe, dtype, result, i)))
                print(f"{path}: {image_line(result, i)}")
    if film_path:
        replace(film_path, film.gif(pipe))
        print(f"{film_path}: {len(film.canvases)} frames")
    shared = result.settings[0]
    print(total_line(len(texts), seconds, loading, shared["decoder"], shared["lossless"]))
