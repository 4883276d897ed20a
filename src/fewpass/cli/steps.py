"""Long work in parts."""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fewpass.cli.pace import EVERY, spoken


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
