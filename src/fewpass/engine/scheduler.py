"""One ragged batch that is kept full: images leave it when they are finished, and the next ones join it."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice

import torch

from fewpass.core.canvas import Canvas
from fewpass.core.checks import whole
from fewpass.engine.group import Failed, Finished, Group
from fewpass.engine.memory import MemoryBudget, ran_out
from fewpass.engine.request import Job
from fewpass.engine.trace import Clock, Trace
from fewpass.models.base import Model


class Scheduler:
    """Draw requests, at most `batch_size` images at a time, first come, first served.

    A request joins the batch as soon as there is capacity, and memory, for it. Requests of equal batch key share
    forward passes. An image does not depend on the others. When memory runs out, half as many images are drawn from
    then on, and the requests that it concerned begin again. Not thread-safe.
    """

    def __init__(self, model: Model, batch_size: int):
        self.model, self.batch_size = model, whole("batch_size", batch_size, least=1, of="images")
        self.clock, self.memory = Clock(model.device), MemoryBudget(model)
        self.waiting: deque[Job] = deque()
        self.passes = 0  # forward passes so far, prefills included
        self.most = 1  # images that were drawn at once so far
        self._groups: dict[Hashable, Group] = {}
        self._full = False  # no memory for the next request, until another one leaves

    @property
    def drawing(self) -> list[Job]:
        """The requests that are being drawn."""
        return [job for group in self._groups.values() for job in group.jobs]

    @property
    def capacity(self) -> int:
        """The number of further requests that could be drawn at once; negative if more were added."""
        return self.batch_size - len(self.drawing) - len(self.waiting)

    def add(self, job: Job) -> None:
        """Add a request at the end of the waiting ones. Raises ValueError for one that was made for another model."""
        if job.model is not self.model:
            raise ValueError(f"the request was made for another model, {job.model.name!r}, got {self.model.name!r}")
        self.waiting.append(job)

    @torch.inference_mode()
    def drop(self, jobs: Sequence[Job]) -> None:
        """Forget these requests, whether they wait, are being drawn or are done already."""
        self._take(jobs)
        self._full = False
        for key, group in list(self._groups.items()):
            leaves = [job in jobs for job in group.jobs]
            if all(leaves):
                del self._groups[key]
            elif any(leaves):
                group.keep(leaves)

    @torch.inference_mode()
    def step(self) -> list[Finished | Failed]:
        """Run the prefill of waiting requests that fit, else one forward pass of every group.

        Returns the requests that it ended. An error ends only the requests that it concerns.
        """
        alike = self._next()
        if not alike:
            return [one for key, group in list(self._groups.items()) for one in self._advance(key, group)]
        try:
            n = self.memory.admitted(alike, alone=not self._groups)
        except Exception as error:  # too little memory, or an error of the decoder
            self._take(alike[:1])
            return [Failed(alike[0], error)]
        self._full = n == 0
        return self._enter(alike[:n]) if n else self.step()

    def canvases(self) -> Iterator[tuple[list[Job], Canvas]]:
        """The images that are being drawn, group by group; the loop still writes to these canvases."""
        for group in self._groups.values():
            yield group.jobs, group.drawing.canvas

    @torch.inference_mode()
    def so_far(self, job: Job) -> tuple[Canvas, Trace]:
        """A copy of the canvas of a request that is being drawn, and its trace."""
        group = self._groups[job.batch_key]
        return group.copy(group.jobs.index(job))

    def _next(self) -> list[Job]:
        """The waiting requests that could share the next prefill: of the first one's batch key, within capacity."""
        capacity = 0 if self._full else max(self.batch_size - len(self.drawing), 0)
        first = list(islice(self.waiting, capacity))
        return [job for job in first if job.batch_key == first[0].batch_key]

    def _take(self, jobs: Sequence[Job]) -> None:
        taken = set(jobs)
        self.waiting = deque(job for job in self.waiting if job not in taken)

    def _enter(self, jobs: list[Job]) -> list[Finished | Failed]:
        self._take(jobs)
        key = jobs[0].batch_key
        try:
            group = Group(self.model, jobs, self.clock)
            self.passes += 1
            over = group.take_over()
            if group.jobs and (others := self._groups.pop(key, None)):
                jobs = others.jobs + jobs  # which share memory from here on: an error concerns them all
                others.join(group)
                group = others
        except Exception as error:
            return self._broken(jobs, error)
        if group.jobs:
            self._groups[key] = group
        self.most = max(self.most, len(self.drawing))
        return over

    def _advance(self, key: Hashable, group: Group) -> list[Finished | Failed]:
        try:
            group.advance()
            self.passes += 1
            over = group.take_over()
        except Exception as error:
            del self._groups[key]
            return self._broken(group.jobs, error)
        if over:
            self._full = False
        if not group.jobs:
            del self._groups[key]
        return over

    def _broken(self, jobs: Sequence[Job], error: Exception) -> list[Finished | Failed]:
        """End the requests that an error concerns; when memory has run out, let them begin again, fewer at a time."""
        self._full = False
        if ran_out(error):
            error.__traceback__ = None  # it holds on to the memory
            try:
                self.batch_size = self.memory.halved(jobs, len(self.drawing) + len(jobs))
            except Exception as final:
                error = final
            else:
                self.waiting.extendleft(reversed(jobs))
                return []
        return [Failed(job, error) for job in jobs]


def drawn(scheduler: Scheduler, jobs: Iterable[Job]) -> Iterator[list[tuple[int, Finished]]]:
    """Draw requests, taken when there is capacity: after every step, the images that it finished, by their number.

    The error of a request that failed is raised, behind the images that were finished in the same step.
    """
    coming, number = enumerate(jobs), dict[int, int]()
    while True:
        for i, job in islice(coming, max(scheduler.capacity, 0)):
            scheduler.add(job)
            number[id(job)] = i
        if not number:
            return
        assert scheduler.waiting or scheduler.drawing, "a request was lost"
        over = scheduler.step()
        yield [(number.pop(id(one.job)), one) for one in over if isinstance(one, Finished)]
        for one in over:
            if isinstance(one, Failed):
                raise one.error


class Batch:
    """Requests of one batch key, drawn to their end: the `canvas` and `trace` of all of them, in their order.

    Images that have not begun are blank.
    """

    def __init__(self, model: Model, jobs: Sequence[Job]):
        self.jobs, self.scheduler = jobs, Scheduler(model, len(jobs))
        grid, nothing = jobs[0].grid, torch.zeros(len(jobs), dtype=torch.long, device=model.device)
        self.canvas, self.trace = Canvas.blank(grid, nothing, jobs[0].decoder.margin), Trace.blank(len(jobs), grid)

    @torch.inference_mode()
    def draw(self, *on_step: Callable[[Canvas], object]) -> None:
        """Draw all images. Each `on_step` gets the canvas after every forward pass and stops by returning False."""
        number = {id(job): i for i, job in enumerate(self.jobs)}
        for finished in drawn(self.scheduler, self.jobs):
            for i, one in finished:
                self._note([i], one.canvas, one.trace)
            if on_step and self.scheduler.passes:
                for jobs, canvas in self.scheduler.canvases():
                    self._note([number[id(job)] for job in jobs], canvas)
                answers = [watch(self.canvas) for watch in on_step]
                if any(answer is False for answer in answers):
                    break
        for job in self.scheduler.drawing:
            self._note([number[id(job)]], *self.scheduler.so_far(job))
        self.trace.model_seconds = self.scheduler.clock.seconds

    def _note(self, numbers: Sequence[int], part: Canvas, trace: Trace | None = None) -> None:
        self.canvas.update(torch.tensor(numbers, device=part.length.device), part)
        if trace is not None:
            self.trace.committed[numbers] = trace.committed
