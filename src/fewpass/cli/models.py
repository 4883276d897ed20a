"""`fewpass models`"""

import sys
import textwrap
from shutil import get_terminal_size
from typing import Annotated

import typer

from fewpass.cli.tables import show
from fewpass.cli.terminal import load_torch


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="List the words that this bundled model knows instead.")
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
    from fewpass.models.emoji.scenes import vocabulary
    from fewpass.models.zoo import BUNDLED

    if name not in BUNDLED:
        raise ValueError(f"{name!r} is not a bundled model{meant(name, BUNDLED)}: only those have a list of words")
    words = vocabulary().words
    print(textwrap.fill(" ".join(words), get_terminal_size().columns) if sys.stdout.isatty() else "\n".join(words))
