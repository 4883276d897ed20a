"""`fewpass decoders`"""

from inspect import Parameter

from fewpass.cli.tables import show
from fewpass.cli.terminal import load_torch


def decoders() -> None:
    """List the decoders: options and defaults, lossless or lossy, where they come from."""
    load_torch()

    from fewpass.decoders.recipes import RECIPES
    from fewpass.engine.report import law

    rows = [
        [name, ", ".join(map(_option, recipe.parameters.values())), law(recipe.lossless), recipe.source, _doc(recipe)]
        for name, recipe in RECIPES.items()
    ]
    show(["decoder", "options", "images", "source", "what it does"], rows)


def _option(parameter: Parameter) -> str:
    required = parameter.default is Parameter.empty
    return parameter.name if required else f"{parameter.name}={parameter.default}"


def _doc(recipe: object) -> str:
    return " ".join((recipe.__doc__ or "").partition("\n\n")[0].split())
