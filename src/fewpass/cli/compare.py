"""`fewpass compare`"""

import sys
from functools import partial
from typing import Annotated, Any

import typer

from fewpass.cli import options as o
from fewpass.cli.inputs import read_decoder, read_prompts
from fewpass.cli.tables import show
from fewpass.cli.terminal import load_torch, open_model
from fewpass.engine.options import GenerationOptions
from fewpass.io.atomic import check_writable, located, replace
from fewpass.io.targets import check_suffix
from fewpass.viz.progress import committed_tokens


@o.with_options(without=["decoder"])
def compare(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="In quotes.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="A .png file.")] = "sheet.png",
    decoders: o.Decoders = "ar; sjd; mc_sjd; jacobi_ngram",
    model: o.Model = "emoji",
    options: GenerationOptions = o.DEFAULT,
    device: o.Device = None,
    dtype: o.Dtype = None,
    compile: o.Compile = False,
) -> None:
    """Draw one prompt with several decoders: one sheet of images, costs, and when each token became final."""
    (text,), path = read_prompts([prompt], None), located(output)
    check_suffix(path, ".png")
    check_writable(path)

    load_torch()

    from fewpass.decoders.recipes import RECIPES
    from fewpass.engine.result import law, record
    from fewpass.engine.seeds import assign
    from fewpass.io.png_metadata import png
    from fewpass.viz.sheet import Column, draw_sheet

    spellings = list(RECIPES) if decoders.strip() == "all" else [s for s in decoders.split(";") if s.strip()]
    if not spellings:
        raise ValueError(f"there is no decoder in {decoders!r}")
    chosen, seeds = [read_decoder(spelling) for spelling in spellings], assign(options.seed, 1)
    given = options.checked().given | {"seed": seeds}
    pipe = open_model(model, device, dtype, compile)

    draw = partial(pipe, text, **given)
    # The first passes of a process are slow.
    draw(decoder=chosen[0], on_step=lambda canvas: max(canvas.lengths) < 4)
    columns, records = [], []
    with committed_tokens(len(chosen)) as progress:
        for decoder in chosen:
            result = draw(decoder=decoder, on_step=progress)
            grid = pipe.model.grid(given.get("size"))
            committed = result.trace.committed[0, grid.start :].view(grid.rows, grid.cols).numpy()
            columns.append(
                Column(str(decoder), decoder.lossless, result.images[0], committed, grid.size, result.trace.seconds)
            )
            records.append(record(result, 0))
    sheet = draw_sheet(text, _conditions(result.settings[0]), columns)
    replace(path, png(sheet, {"compared": records}))
    show(
        ["decoder", "passes", "tokens per pass", "seconds", "images"],
        [
            [c.spelling, str(c.passes), f"{c.tokens / c.passes:.2f}", f"{c.seconds:.2f}", law(c.lossless)]
            for c in columns
        ],
    )
    print(path, file=sys.stderr)


def _conditions(settings: dict[str, Any]) -> str:
    """What all decoders had in common."""
    words = [f"{settings['model']}", f"seed {settings['seed']}", f"guidance {settings['guidance']:g}"]
    words += [f"temperature {settings['temperature']:g}"]
    words += [f"top-k {settings['top_k']}"] if settings["top_k"] else []
    words += [f"top-p {settings['top_p']:g}"] if settings["top_p"] < 1 else []
    words += [f"min-p {settings['min_p']:g}"] if settings["min_p"] else []
    return ", ".join(words)
