"""Long work in parts."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fewpass.bench.run import Step


def do(steps: "Iterable[Step]", what: str) -> None:
    """One step after the other, with the time left on a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    steps, console = list(steps), Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=sum(step.passes for step in steps))
        for step in steps:
            progress.update(task, description=escape(step.what))
            step.run()
            progress.advance(task, step.passes)
