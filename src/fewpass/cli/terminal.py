"""The terminal: spinners while torch and models are loaded, addresses and tables."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fewpass.viz.progress import waiting

if TYPE_CHECKING:
    from socket import socket

    from fewpass.cli.options import Place
    from fewpass.pipeline import Pipeline


def load_torch() -> None:
    """Import torch with a spinner; to be called before the first import that needs it, which would show nothing."""
    with waiting("loading torch"):
        import torch  # noqa: F401


def open_model(name: str, place: "Place") -> "Pipeline":
    """`fewpass.load`, without the progress bars and warnings of transformers."""
    with waiting(f"loading {name}"):
        silence_transformers()

        from fewpass.loading import load

        return load(name, place.device, place.dtype, compile=place.compile)


def silence_transformers() -> None:
    """Keep progress bars and warnings of transformers off the terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)


def url(host: str, listening: "socket") -> str:
    """The address of a server on a listening socket."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table if standard output is a terminal, else lines of fields separated by tabs, without a heading."""
    if not sys.stdout.isatty():
        for row in rows:
            print(*row, sep="\t")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(table)
