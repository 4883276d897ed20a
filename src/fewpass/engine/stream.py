"""Prompts in, finished images out, in bounded memory."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from fewpass.core.canvas import Canvas
from fewpass.core.messages import shown
from fewpass.engine.memory import available, ran_out, spelled
from fewpass.engine.options import Settings
from fewpass.engine.prompts import Given
from fewpass.engine.request import Job
from fewpass.engine.scheduler import Failed, Finished, Scheduler


def jobs_of(prompts: Iterable[Given | Job], settings: Settings, seeds: Iterator[int], count: int) -> Iterator[Job]:
    """`count` jobs of each prompt, made when they are asked for, with the next seeds; jobs among them are done once."""
    for item in prompts:
        if isinstance(item, Job):
            yield replace(item)  # the same job may come again
            continue
        for _ in range(count):
            seed = next(seeds, None)
            if seed is None:
                raise ValueError(f"there is no seed for {shown(item)}: more images than seeds")
            yield settings.job(item, seed)


def stream(
    scheduler: Scheduler, jobs: Iterable[Job], on_step: Callable[[Canvas], object] | None
) -> Iterator[tuple[int, Finished]]:
    """What becomes of jobs, each with its number, in the order in which they are done.

    No more jobs are taken than there are places. An error that ends one of them is raised, behind the images that were
    finished in the same pass; but when memory runs out, half as many are drawn at a time from then on, once, and those
    that it concerned begin again.
    """
    coming, number = enumerate(jobs), {}
    while True:
        for i, job in islice(coming, max(scheduler.places, 0)):
            scheduler.add(job)
            number[id(job)] = i
        if not number:
            return
        over = scheduler.step()
        failed = [outcome for outcome in over if isinstance(outcome, Failed)]
        starved = [outcome for outcome in failed if ran_out(outcome.error)]
        if starved:
            _begin_again(scheduler, starved)
        for outcome in over:
            if isinstance(outcome, Finished):
                yield number.pop(id(outcome.job)), outcome
        for outcome in failed:
            if outcome not in starved:
                raise outcome.error
        if on_step is not None:
            seen = [on_step(canvas) for _, canvas in scheduler.canvases()]
            if any(answer is False for answer in seen):
                return


def _begin_again(scheduler: Scheduler, failed: Sequence[Failed]) -> None:
    """Let those begin again that memory ran out for. Raises ValueError if there is nothing left to try."""
    before = scheduler.batch
    if not scheduler.halve():
        free = available(scheduler.model.device)
        known = "" if free is None else f": {spelled(free)} are free"
        raise ValueError(f"out of memory with {before} images at once on {scheduler.model.device}{known}")
    warnings.warn(
        f"out of memory with {before} images at once: going on with {scheduler.batch}, which makes the same images",
        RuntimeWarning,
        stacklevel=4,
    )
    for outcome in failed:
        outcome.error.__traceback__ = None  # it holds on to the memory
        scheduler.add(outcome.job)
