"""What is shown while the user waits, on standard error; nothing where that is not a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
