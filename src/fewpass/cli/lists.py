"""`fewpass decoders` and `fewpass models`."""

import sys
import textwrap
from inspect import Parameter
from shutil import get_terminal_size
from typing import Annotated

import typer

from fewpass.cli.terminal import load_torch, show


def decoders() -> None:
    """List the decoders: options and defaults, lossless or lossy, and their sources."""
    load_torch()

    from fewpass.decoders import every_recipe
    from fewpass.engine.result import law

    rows = [
        [name, ", ".join(map(_option, recipe.parameters.values())), law(recipe.lossless), recipe.source, _doc(recipe)]
        for name, recipe in every_recipe().items()
    ]
    show(["decoder", "options", "images", "source", "description"], rows)


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Bundled model whose words or classes are listed.")
    ] = None,
) -> None:
    """List the published models: image sizes, memory, licence, and the command that draws with each."""
    from fewpass.models.zoo import PUBLISHED

    if name is None:
        rows = [[p.repository, p.family, p.images, p.memory, p.licence, p.command] for p in PUBLISHED]
        show(["model", "family", "images", "memory", "licence", "command"], rows)
        return
    load_torch()

    from fewpass.core.messages import meant
    from fewpass.models.zoo import BUNDLED, words_of

    if name not in BUNDLED:
        raise ValueError(f"{name!r} is not a bundled model{meant(name, BUNDLED)}: only those have a list of words")
    words = words_of(name)
    print(textwrap.fill(", ".join(words), get_terminal_size().columns) if sys.stdout.isatty() else "\n".join(words))


def _option(parameter: Parameter) -> str:
    required = parameter.default is Parameter.empty
    return parameter.name if required else f"{parameter.name}={parameter.default}"


def _doc(recipe: object) -> str:
    return " ".join((recipe.__doc__ or "").partition("\n\n")[0].split())
