"""Entries to images or errors, in this process."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from fewpass.batch.entries import Entry, Outcome, by_options, drawn_line, failed_line
from fewpass.core.errors import ModelError, OutOfMemory
from fewpass.engine.group import Finished
from fewpass.engine.request import Job
from fewpass.engine.result import record
from fewpass.engine.scheduler import Scheduler
from fewpass.io.png_metadata import png
from fewpass.pipeline import Pipeline


def draw(pipe: Pipeline, entries: Iterable[Entry], batch_size: int) -> Iterator[Outcome]:
    """Draw entries, at most `batch_size` at a time, and yield the outcome of each as soon as it is known.

    Raises ValueError if the device itself has failed.
    """
    scheduler, drawing, coming = Scheduler(pipe.model, batch_size), dict[Job, Entry](), iter(by_options(entries))
    while True:
        while scheduler.capacity > 0 and (entry := next(coming, None)) is not None:
            try:
                job = pipe.job(entry.prompt, seed=entry.seed, **entry.options)
            except Exception as error:
                yield Outcome(failed_line(entry, _described(error)))
            else:
                scheduler.add(job)
                drawing[job] = entry
        if not drawing:
            return
        for over in scheduler.step():
            entry = drawing.pop(over.job)
            try:
                if not isinstance(over, Finished):
                    raise over.error
                yield _drawn(pipe, entry, over)
            except torch.AcceleratorError as error:
                raise ValueError(f"the device has failed, start again to resume: {_described(error)}") from error
            except Exception as error:
                yield Outcome(failed_line(entry, _described(error)))


def _drawn(pipe: Pipeline, entry: Entry, over: Finished) -> Outcome:
    result = pipe.result([over.job], over.canvas, over.trace)
    own = {"id": entry.id, "tags": dict(entry.tags), "options": dict(entry.options)}
    kept: dict[str, Any] = {**own, **record(result, 0)}
    del kept["trace"]["images_together"]  # which varied while the image was drawn
    return Outcome(drawn_line(entry, kept), png(result.images[0], kept))


def _described(error: Exception) -> str:
    """An error in one line, with its type if it is not one of fewpass."""
    kind = "" if isinstance(error, ValueError | ModelError | OutOfMemory) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
