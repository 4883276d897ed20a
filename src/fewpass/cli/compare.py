"""`fewpass compare`."""

import sys
from functools import partial
from typing import Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.prompts import read_prompts
from fewpass.cli.terminal import load_torch, open_model, show
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import replace
from fewpass.io.targets import output_file
from fewpass.viz.progress import committed_tokens


def compare(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="A prompt, in quotes.")],
    output: Annotated[str, o.option("FILE", "A .png file.", "--output", "-o")] = "sheet.png",
    decoders: o.Decoders = "ar; sjd; mc_sjd; jacobi_ngram",
    model: o.Model = "emoji",
    options: GenerationOptions = o.DEFAULT,
    place: o.Place = o.Place(),
) -> None:
    """Draw one prompt with several decoders: one sheet of images, passes, and the pass that committed each token."""
    (text,) = read_prompts([prompt], None)
    path = output_file(output, ".png")

    load_torch()

    from fewpass.engine.result import conditions, law, record
    from fewpass.engine.seeds import assign
    from fewpass.io.png_metadata import png
    from fewpass.viz.sheet import Column, draw_sheet

    chosen, seeds = o.read_decoders(decoders), assign(options.seed, 1)
    given = options.checked().given | {"seed": seeds}
    pipe = open_model(model, place)
    draw, grid = partial(pipe, text, **given), pipe.model.grid(given.get("size"))
    chosen, left_out = o.fitting(chosen, decoders, pipe.model, grid)
    for note in left_out:
        print(f"left out: {note}", file=sys.stderr)
    draw(decoder=chosen[0], on_step=lambda canvas: max(canvas.lengths) < 4)  # the first passes of a process are slow
    columns, records = [], []
    with committed_tokens(len(chosen)) as progress:
        for decoder in chosen:
            result = draw(decoder=decoder, on_step=progress)
            committed = result.trace.committed[0, grid.start :].view(grid.rows, grid.cols).numpy()
            columns.append(
                Column(str(decoder), decoder.lossless, result.images[0], committed, grid.size, result.trace.seconds)
            )
            records.append(record(result, 0))
    shared = result.settings[0]
    sheet = draw_sheet(text, f"{shared['model']}, seed {shared['seed']}, {conditions(shared)}", columns)
    replace(path, png(sheet, {"compared": records}))
    show(
        ["decoder", "passes", "tokens per pass", "seconds", "images"],
        [
            [c.spelling, str(c.passes), f"{c.tokens / c.passes:.2f}", f"{c.seconds:.2f}", law(c.lossless)]
            for c in columns
        ],
    )
    print(path, file=sys.stderr)
