"""`fewpass check`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model, show
from fewpass.core.checks import read_size

if TYPE_CHECKING:
    from fewpass.core.canvas import Grid
    from fewpass.models.base import Model
    from fewpass.testing.description import Line

STATUS = {True: "ok", False: "FAILED", None: ""}
UNSEEN = (
    ("ids of the prompt", "compare them with those of the authors' script"),
    ("images", "draw some and look at them: this command judges no picture"),
    ("other sizes, prompts and dtypes", "the checks used those above, random prompts and random codes"),
)


def check(
    model: Annotated[str, typer.Argument(metavar="FOLDER", help=f"{o.MODEL}.")],
    prompt: Annotated[str | None, o.option("TEXT", "Prompt whose token ids are printed.")] = None,
    size: Annotated[str | None, o.option("WxH", "Image size in pixels.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
) -> int:
    """Print how a model is read, and check the contract that decoders rely on. The exit code is 1 if it fails."""
    pixels = read_size(size)

    load_torch()

    import torch

    from fewpass.models import folder_of
    from fewpass.testing.description import Line, describe
    from fewpass.testing.model_checks import layouts, numbers

    own = open_model(model, o.Place(device, dtype)).model
    grids, text = layouts(own, pixels), own.sample_prompt() if prompt is None else prompt
    with torch.inference_mode():
        lines = [*describe(own, folder_of(model), text, grids[0]), *numbers(own, grids[0], text)]
    untested = [Line("contract", "not checked", "no finite logits to compare")]
    lines += _contract(own, grids) if lines[-1].passed else untested
    lines += [Line("not verified", what, why) for what, why in UNSEEN]
    show(["part", "what", "found", ""], [[line.part, line.what, line.found, STATUS[line.passed]] for line in lines])
    return 1 if any(line.passed is False for line in lines) else 0


def _contract(model: "Model", grids: list["Grid"]) -> Iterator["Line"]:
    from fewpass.core.errors import ModelError
    from fewpass.testing.description import Line
    from fewpass.testing.model_checks import check_model

    try:
        for found in check_model(model, grids):
            limit = "" if found.limit is None else f", at most {found.limit:.2g}"
            passed = None if found.limit is None else found.passed
            yield Line("contract", f"{found.what}, {found.grid}", f"difference {found.error:.2g}{limit}", passed)
    except ModelError as error:
        yield Line("contract", "random prompts and codes", str(error), passed=False)
