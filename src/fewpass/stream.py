"""Prompts in, finished images out, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from fewpass.canvas import Canvas
from fewpass.job import Job
from fewpass.models.base import Prompt
from fewpass.prompts import prompts_of
from fewpass.scheduler import Failed, Finished, Scheduler
from fewpass.settings import Settings


def jobs_of(prompts: Iterable[Prompt | Job], settings: Settings, seeds: Iterator[int], count: int) -> Iterator[Job]:
    """`count` jobs of each prompt, made when they are asked for, with the next seeds; jobs among them are done once."""
    for item in prompts:
        if isinstance(item, Job):
            yield replace(item)  # the same job may come again
            continue
        for prompt in prompts_of([item], None, count):
            seed = next(seeds, None)
            if seed is None:
                raise ValueError(f"there is no seed for {prompt!r}: more images than seeds")
            yield settings.job(prompt, seed)


def stream(
    scheduler: Scheduler, jobs: Iterable[Job], on_step: Callable[[Canvas], object] | None
) -> Iterator[tuple[int, Finished]]:
    """What becomes of jobs, each with its number, in the order in which they are done.

    No more jobs are taken than there are places. An error that ends one of them is raised.
    """
    coming, number = enumerate(jobs), {}
    while True:
        for i, job in islice(coming, scheduler.places):
            scheduler.add(job)
            number[id(job)] = i
        if not number:
            return
        for over in scheduler.step():
            if isinstance(over, Failed):
                raise over.error
            yield number.pop(id(over.job)), over
        if on_step is not None:
            seen = [on_step(canvas) for _, canvas in scheduler.canvases()]
            if any(answer is False for answer in seen):
                return
