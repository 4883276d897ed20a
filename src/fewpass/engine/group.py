"""Requests of equal batch key, drawn together, and their outcomes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas, staying
from fewpass.core.loop import Drawing
from fewpass.engine.request import Job
from fewpass.engine.trace import Clock, Trace
from fewpass.models.base import Model


@dataclass(frozen=True, eq=False)
class Finished:
    """A request whose image is done: a canvas of one image, and its trace.

    The trace counts the seconds that the image was in the batch, together with others.
    """

    job: Job
    canvas: Canvas
    trace: Trace


@dataclass(frozen=True, eq=False)
class Failed:
    """A request that an error of the model, or an unforeseen one, has ended."""

    job: Job
    error: Exception


class Group:
    """Requests of equal batch key, drawn in the same forward passes; `since` is when each image came.

    Making a group is the prefill of its requests.
    """

    def __init__(self, model: Model, jobs: Sequence[Job], clock: Clock):
        self.jobs, self.clock = list(jobs), clock
        self.since = [(time.perf_counter(), clock.seconds)] * len(jobs)
        job = jobs[0]
        with clock:
            session = model.open_rows([job.rows for job in jobs], job.grid, [job.guidance for job in jobs])
        seeds = torch.tensor([job.seed for job in jobs], device=model.device)
        self.drawing = Drawing(session, job.decoder, job.sampling, seeds, clock)
        self.trace = Trace.blank(len(jobs), job.grid, model.device)
        self._note()

    def advance(self) -> None:
        """One forward pass."""
        self.drawing.advance()
        self._note()

    def join(self, other: "Group") -> None:
        """Append the requests of `other`."""
        self.drawing.join(other.drawing)
        self.trace = Trace.joined([self.trace, other.trace])
        self.jobs, self.since = self.jobs + other.jobs, self.since + other.since

    def keep(self, leaves: Sequence[bool]) -> None:
        """Remove the images for whose number in the group `leaves` is true."""
        numbers = staying(leaves)
        images = self._images(numbers)
        self.drawing.select(images)
        self.trace = self.trace.select(images)
        self.jobs, self.since = [self.jobs[i] for i in numbers], [self.since[i] for i in numbers]

    def copy(self, image: int) -> tuple[Canvas, Trace]:
        """One image as far as it is drawn, and its trace."""
        (started, before), images = self.since[image], self._images([image])
        seconds, inside = time.perf_counter() - started, self.clock.seconds - before
        one = self.trace.select(images)
        return self.drawing.canvas.select(images), Trace(one.committed.cpu(), seconds, inside)

    def take_over(self) -> list[Finished | Failed]:
        """Let the images leave that are done, and those whose logits give no probabilities."""
        canvas, over = self.drawing.canvas, list[Finished | Failed]()
        errors = self.drawing.errors(canvas)
        leaves = [done or error is not None for done, error in zip(canvas.finished, errors, strict=True)]
        for i, error in enumerate(errors):
            if error is not None:
                over.append(Failed(self.jobs[i], error))
            elif leaves[i]:
                over.append(Finished(self.jobs[i], *self.copy(i)))
        if all(leaves):
            self.jobs = []
        elif over:
            self.keep(leaves)
        return over

    def _note(self) -> None:
        self.trace.note(self.drawing.canvas, self.drawing.step + 1)

    def _images(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self.drawing.seeds.device)
