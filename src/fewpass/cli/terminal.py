"""What is shown while the user waits, on standard error; nothing where that is not a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fewpass.core.canvas import Canvas
    from fewpass.pipeline import Pipeline


SLOW = 1.0  # seconds of waiting that are worth a line


def load_torch() -> None:
    """Import torch with a spinner: to be called before the first import that needs it, which would be silent."""
    with waiting("loading torch"):
        import torch  # noqa: F401


def open_model(name: str, device: str | None, dtype: str | None, compile: bool = False) -> "Pipeline":
    """`fewpass.load`, without the progress bars and warnings of transformers."""
    with waiting(f"loading {name}"):
        silence_transformers()

        from fewpass.loading import load

        return load(name, device, dtype, compile=compile)


def silence_transformers() -> None:
    """Keep progress bars and warnings of transformers off the terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner that names what is being waited for; if that was long, a line afterwards says how long."""
    from rich.console import Console
    from rich.text import Text

    console, started = Console(stderr=True), time.monotonic()
    with console.status(Text(what)) as status:
        status.update(spinner="dots")  # shows it at once; imports may keep rich's own thread from doing so
        yield
    seconds = time.monotonic() - started
    if console.is_terminal and seconds >= SLOW:
        console.print(Text(f"{what}: {seconds:.1f} s", style="dim"))


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
