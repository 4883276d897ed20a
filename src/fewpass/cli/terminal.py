"""What is shown while the user waits, on standard error; nothing where that is not a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fewpass.canvas import Canvas
    from fewpass.pipeline import Pipeline


def open_model(name: str, device: str | None, dtype: str | None, compile: bool = False) -> "Pipeline":
    """`fewpass.load`, without the progress bars and warnings of transformers."""
    with waiting(f"loading {name}"):
        from fewpass.loading import load

        return load(name, device, dtype, compile=compile)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says what is being waited for, and keeps transformers from saying more."""
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(what)):
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity(logging.CRITICAL)
        yield


@contextmanager
def committed_tokens(images: int, what: str = "drawing") -> Iterator[Callable[["Canvas"], None]]:
    """A bar of the tokens that are final, of `images` images in all. What it gives is to be called with every canvas.

    Images may be drawn some at a time: those of canvases that are finished stay counted.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} tokens"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # lines printed meanwhile go above the bar, or to where they are piped
    ) as progress:
        task = progress.add_task(what, total=None, visible=False)
        before = 0

        def show(canvas: "Canvas") -> None:
            nonlocal before
            done = int(canvas.final.sum())
            size = canvas.grid.size
            progress.update(task, completed=before + done, total=images * size, visible=True)
            if all(canvas.finished):
                before += done

        yield show
