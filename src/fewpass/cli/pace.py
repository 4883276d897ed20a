"""How a long run is going, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
