"""`fewpass check`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model, show
from fewpass.core.checks import read_size

if TYPE_CHECKING:
    import torch

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
    dtypes: Annotated[str, o.option("NAMES", "More dtypes to load and check, such as float16,bfloat16.")] = "",
) -> int:
    """Print how a model is read, and check the contract that decoders rely on. The exit code is 1 if it fails."""
    pixels = read_size(size)

    load_torch()

    from fewpass.runtime.device import chosen_device, chosen_dtype
    from fewpass.testing.description import Line

    where = chosen_device(device)
    others = [chosen_dtype(name.strip(), where) for name in dtypes.split(",") if name.strip()]
    loaded = str(chosen_dtype(dtype, where)).removeprefix("torch.")  # as `fewpass.load` does
    lines, weights = _checked(model, prompt, pixels, where, loaded)
    for other in others:  # the model of the line above is freed by now
        lines += _in_dtype(model, prompt, pixels, where, other, weights)
    lines += [Line("not verified", what, why) for what, why in UNSEEN]
    show(["part", "what", "found", ""], [[line.part, line.what, line.found, STATUS[line.passed]] for line in lines])
    return 1 if any(line.passed is False for line in lines) else 0


def _checked(
    name: str, prompt: str | None, size: tuple[int, int] | None, device: "torch.device", dtype: str
) -> tuple[list["Line"], int]:
    """All lines of one dtype, and the number of weights."""
    import torch

    from fewpass.models import folder_of
    from fewpass.testing.description import Line, describe
    from fewpass.testing.model_checks import layouts, numbers

    own = open_model(name, o.Place(str(device), dtype)).model
    grids, text = layouts(own, size), prompt or own.sample_prompt()
    with torch.inference_mode():
        lines = [*describe(own, folder_of(name), text, grids[0]), *numbers(own, grids[0], text)]
    untested = [Line("contract", "not checked", "no finite logits to compare")]
    lines += _contract(own, grids) if lines[-1].passed else untested
    return lines, sum(weight.numel() for weight in own.model.parameters())


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


def _in_dtype(
    name: str,
    prompt: str | None,
    size: tuple[int, int] | None,
    device: "torch.device",
    dtype: "torch.dtype",
    weights: int,
) -> list["Line"]:
    """The lines of another dtype; the model is loaded if its weights fit into memory."""
    import torch
    from rich.filesize import decimal

    from fewpass.engine.memory import available
    from fewpass.testing.description import Line
    from fewpass.testing.model_checks import layouts, numbers

    short, need, free = str(dtype).removeprefix("torch."), weights * dtype.itemsize, available(device)
    if free is not None and need > free:
        refusal = f"not loaded: the weights take {decimal(need)}, and {decimal(free)} are free"
        return [Line("numbers", f"weights in {short}", refusal, passed=False)]
    own = open_model(name, o.Place(str(device), short)).model
    with torch.inference_mode():
        return list(numbers(own, layouts(own, size)[0], prompt or own.sample_prompt()))
