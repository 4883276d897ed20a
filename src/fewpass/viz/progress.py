"""Progress of long work on standard error: bars with the time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

EVERY = 30.0  # seconds between two lines in a log
SLOW = 1.0  # seconds of waiting that are worth a line


class Pace:
    """Work done, its rate and the seconds left, in any unit; an earlier run has done `before` of `total`."""

    def __init__(self, total: float, before: float = 0, clock: Callable[[], float] = time.monotonic):
        self.total, self.before, self.done, self.clock = total, before, before, clock
        self.started = self._logged = clock()

    @property
    def rate(self) -> float:
        """Units per second of this run, 0 before the first."""
        seconds = self.clock() - self.started
        return (self.done - self.before) / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at this rate, None before the first unit."""
        return (self.total - self.done) / self.rate if self.rate else None

    def log(self, line: str, now: bool = False) -> None:
        """Print a line if none was printed for `EVERY` seconds, or `now`."""
        if now or self.clock() - self._logged >= EVERY:
            self._logged = self.clock()
            print(line, file=sys.stderr, flush=True)

    def __str__(self) -> str:
        return f"{self.done}/{self.total} images, {self.rate:.3g} images/s, {spoken(self.seconds_left)} left"


def spoken(seconds: float | None) -> str:
    """A length of time: `4:05`, `1:00:00`, `2 d 3:00:00`, or `?`."""
    if seconds is None:
        return "?"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{days} d {clock}" if days else clock


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a spinner beside `what`, and afterwards the seconds if they were many."""
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
def images_drawn(total: int, before: int) -> Iterator[Callable[[], None]]:
    """Show the pace, and yield the function to call once for each image that is done."""
    pace = Pace(total, before)
    with _bars(time_left=False) as progress:  # which the pace says
        task = progress.add_task(str(pace), total=total, completed=before)

        def show() -> None:
            pace.done += 1
            progress.update(task, completed=pace.done, description=str(pace))
            if progress.disable:
                pace.log(str(pace))

        yield show


@dataclass(frozen=True)
class Step:
    """A part of long work: its name, its cost in any unit that all steps share, and the function that does it.

    `of` names a group of steps, such as those of one decoder.
    """

    what: str
    cost: float
    run: Callable[[], object]
    of: str = ""


def do(steps: Iterable[Step], what: str, clock: Callable[[], float] = time.monotonic) -> None:
    """Do the steps one after the other, and show the time left.

    Off a terminal, a line is printed every half minute and after the last step of each group.
    """
    from rich.markup import escape

    steps = list(steps)
    last = {step.of: number for number, step in enumerate(steps) if step.of}
    pace = Pace(sum(step.cost for step in steps), clock=clock)
    with _bars() as progress:
        bar = progress.add_task(what, total=pace.total)
        for number, step in enumerate(steps):
            progress.update(bar, description=escape(step.what))
            step.run()
            pace.done += step.cost
            progress.update(bar, completed=pace.done)
            if progress.disable:
                line = f"{step.what}: {number + 1} of {len(steps)} steps, {spoken(pace.seconds_left)} left"
                pace.log(line, now=last.get(step.of) == number)


@contextmanager
def _bars(*texts: str, time_left: bool = True) -> Iterator["Progress"]:
    """Bars on standard error, disabled where that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        BarColumn(),
        *map(TextColumn, texts),
        *[TimeRemainingColumn()] * time_left,
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not (console.is_terminal or console.is_jupyter),
        redirect_stdout=sys.stdout.isatty(),  # lines printed meanwhile go above the bar, or to where they are piped
    ) as progress:
        yield progress
