"""The inner loop of a batch: entries in, images or errors out."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from fewpass.batch.entries import Entry, by_options
from fewpass.batch.outcome import Drawn, Failed, Outcome
from fewpass.core.errors import ModelError, OutOfMemory
from fewpass.engine.request import Job
from fewpass.engine.result import record
from fewpass.engine.scheduler import Finished, Scheduler
from fewpass.io.png_metadata import png
from fewpass.pipeline import Pipeline


def draw(pipe: Pipeline, dtype: str | None, entries: Iterable[Entry], together: int) -> Iterator[Outcome]:
    """What becomes of each entry, at most `together` drawn at once.

    An entry that cannot be drawn takes no other with it: where an error ends several, as when memory runs out, they
    are drawn again, half as many at once. What an image becomes does not depend on the others.
    Raises ValueError if the device itself has failed.
    """
    scheduler, drawing, again = Scheduler(pipe.model, together), dict[Job, Entry](), list[Entry]()
    coming = iter(by_options(entries))
    while True:
        while scheduler.capacity > 0 and (entry := next(coming, None)) is not None:
            try:
                job = pipe.job(entry.prompt, seed=entry.seed, **entry.options)
            except Exception as error:
                yield Failed(entry, described(error))
            else:
                scheduler.add(job)
                drawing[job] = entry
        if not drawing:
            break
        for over in scheduler.step():
            entry = drawing.pop(over.job)
            try:
                if not isinstance(over, Finished):
                    raise over.error
                yield _drawn(pipe, entry, over, dtype)
            except torch.AcceleratorError as error:
                raise ValueError(f"the device has failed, start again to go on: {described(error)}") from error
            except Exception as error:
                if together == 1 or isinstance(error, ModelError):
                    yield Failed(entry, described(error))
                else:
                    again.append(entry)
    if again:
        yield from draw(pipe, dtype, again, together // 2)


def _drawn(pipe: Pipeline, entry: Entry, over: Finished, dtype: str | None) -> Drawn:
    result = pipe.result([over.job], over.canvas, over.trace)
    own = {"id": entry.id, "tags": dict(entry.tags), "options": dict(entry.options)}
    kept: dict[str, Any] = {**own, **record(result, 0)}
    del kept["trace"]["images_together"]  # they came and went
    return Drawn(entry, png(result.images[0], kept), kept)


def described(error: Exception) -> str:
    """An error in one line."""
    kind = "" if isinstance(error, ValueError | ModelError | OutOfMemory) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
