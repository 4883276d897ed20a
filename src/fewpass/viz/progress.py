"""Progress of long work on standard error: bars with the time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

EVERY = 30.0  # seconds between two lines in a log


class Pace:
    """Images per second and seconds left of `total` images, `before` of which an earlier run has drawn."""

    def __init__(self, total: int, before: int, clock: Callable[[], float] = time.monotonic):
        self.total, self.before, self.done, self.clock = total, before, before, clock
        self.started = clock()

    @property
    def rate(self) -> float:
        """Images per second of this run, 0 if nothing is known yet."""
        seconds = self.clock() - self.started
        return (self.done - self.before) / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.rate if self.rate else None

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
def images_drawn(total: int, before: int) -> Iterator[Callable[[], None]]:
    """Shows the pace. What it gives is to be called once for every image that is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    pace, console = Pace(total, before), Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        task, said = progress.add_task(str(pace), total=total, completed=before), pace.started

        def show() -> None:
            nonlocal said
            pace.done += 1
            progress.update(task, completed=pace.done, description=str(pace))
            if not console.is_terminal and pace.clock() - said >= EVERY:
                said = pace.clock()
                print(pace, file=sys.stderr, flush=True)

        yield show


@contextmanager
def committed_tokens(images: int, what: str = "drawing") -> Iterator[Callable[[Any], None]]:
    """A bar of the tokens that are final, of `images` images in all; gives a function to call with every canvas.

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
        disable=not (console.is_terminal or console.is_jupyter),
        redirect_stdout=sys.stdout.isatty(),  # lines printed meanwhile go above the bar, or to where they are piped
    ) as progress:
        task = progress.add_task(what, total=None, visible=False)
        before = 0

        def show(canvas: Any) -> None:
            nonlocal before
            done = int(canvas.final.sum())
            size = canvas.grid.size
            progress.update(task, completed=before + done, total=images * size, visible=True)
            if all(canvas.finished):
                before += done

        yield show


@dataclass(frozen=True)
class Step:
    """A part of long work in words, its cost in any unit that all steps share, and how it is done.

    Steps with the same `of` share a line of the display, which is there from the first of them to the last.
    """

    what: str
    cost: float
    run: Callable[[], None]
    of: str = ""


def do(steps: Iterable[Step], what: str, clock: Callable[[], float] = time.monotonic) -> None:
    """One step after the other, with the time left: bars on a terminal; elsewhere a line now and then.

    Elsewhere, a line comes when half a minute has passed since the last one, and after the last step of an `of`.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    steps, console = list(steps), Console(stderr=True)
    last = {step.of: number for number, step in enumerate(steps) if step.of}
    total, done, started = sum(step.cost for step in steps), 0.0, clock()
    said = started
    columns = (SpinnerColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        whole = progress.add_task(what, total=total)
        lines = {
            of: progress.add_task(escape(of), total=sum(s.cost for s in steps if s.of == of), visible=False)
            for of in last
        }
        for number, step in enumerate(steps):
            progress.update(whole, description=escape(step.what))
            if step.of:
                progress.update(lines[step.of], visible=True)
            step.run()
            done += step.cost
            progress.advance(whole, step.cost)
            if step.of:
                progress.update(lines[step.of], advance=step.cost, visible=last[step.of] > number)
            if not console.is_terminal and (clock() - said >= EVERY or last.get(step.of) == number):
                said = clock()
                left = (said - started) * (total - done) / done if done else None
                print(
                    f"{step.what}: {number + 1} of {len(steps)} steps, {spoken(left)} left", file=sys.stderr, flush=True
                )
