"""Progress of long work on standard error: bars with the time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

EVERY = 30.0  # seconds between two lines in a log


def spoken(seconds: float) -> str:
    """A length of time: `1:00:00`, or `2 days, 3:00:00`."""
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a spinner beside `what`."""
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(what)) as status:
        status.update(spinner="dots")  # shows it at once; imports may keep rich's own thread from doing so
        yield


@contextmanager
def committed_tokens(images: int, what: str = "drawing") -> Iterator[Callable[[Any], None]]:
    """Show a bar of the committed tokens of `images` images, and yield the function to call with each canvas.

    Images may be drawn in several batches: tokens of finished canvases stay counted.
    """
    with _bars("{task.completed:.0f}/{task.total:.0f} tokens") as progress:
        task, before = progress.add_task(what, total=None, visible=False), 0

        def show(canvas: Any) -> None:
            nonlocal before
            done = int(canvas.final.sum())
            progress.update(task, completed=before + done, total=images * canvas.grid.size, visible=True)
            if all(canvas.finished):
                before += done

        yield show


@contextmanager
def images_drawn(total: int, before: int, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[], None]]:
    """Show the number of images, and yield the function to call once for each that is done; `before` are already."""
    with _bars("{task.completed:.0f}/{task.total:.0f} images", clock=clock) as progress:
        work = Work(progress, "drawing", total, before)

        def show() -> None:
            progress.advance(work.task.id, 1)
            pace = f"{work.task.speed or 0:.3g} images/s"
            progress.update(work.task.id, description=pace)
            work.log(f"{work.task.completed:.0f}/{total} images, {pace}")

        yield show


@dataclass(frozen=True)
class Step:
    """A part of long work: its name, its cost in any unit that all steps share, and the function that does it."""

    what: str
    cost: float
    run: Callable[[], object]


def do(steps: Iterable[Step], what: str, clock: Callable[[], float] = time.monotonic) -> None:
    """Do the steps one after the other, and show the time left."""
    from rich.markup import escape

    steps = list(steps)
    with _bars(clock=clock) as progress:
        work = Work(progress, what, sum(step.cost for step in steps))
        for number, step in enumerate(steps):
            progress.update(work.task.id, description=escape(step.what))
            step.run()
            progress.advance(work.task.id, step.cost)
            work.log(f"{step.what}: {number + 1} of {len(steps)} steps")


class Work:
    """A bar, and off a terminal a line every `EVERY` seconds; an earlier run has done `before` of `total`."""

    def __init__(self, progress: "Progress", what: str, total: float, before: int = 0):
        progress.add_task(what, total=total, completed=before)
        self.progress, self.task = progress, progress.tasks[-1]
        self._logged = progress.get_time()
        progress.advance(self.task.id, 0)  # rich measures speed from the first advance on

    def log(self, line: str) -> None:
        """Print a line with the time left if it is time for one."""
        if self.progress.disable and self.progress.get_time() - self._logged >= EVERY:
            self._logged = self.progress.get_time()
            left = self.task.time_remaining
            print(f"{line}, {'?' if left is None else spoken(left)} left", file=sys.stderr, flush=True)


@contextmanager
def _bars(*texts: str, clock: Callable[[], float] = time.monotonic) -> Iterator["Progress"]:
    """Bars on standard error, disabled where that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        BarColumn(),
        *map(TextColumn, texts),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        speed_estimate_period=3600,  # steps may take minutes
        get_time=clock,
        disable=not (console.is_terminal or console.is_jupyter),
        redirect_stdout=sys.stdout.isatty(),  # lines printed meanwhile go above the bar, or to where they are piped
    ) as progress:
        yield progress
