"""One ragged batch that is kept full: images leave it when they are finished, and the next ones take their places."""

import time
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import whole
from fewpass.core.loop import Drawing, staying
from fewpass.engine.portions import Room
from fewpass.engine.request import Job
from fewpass.engine.trace import Clock, ClockedSession, Trace
from fewpass.models.base import Model


@dataclass(frozen=True, eq=False)
class Finished:
    """A job whose image is done: a canvas of one image, and what it cost.

    The seconds of the trace are those that the image was in the batch, together with others.
    """

    job: Job
    canvas: Canvas
    trace: Trace


@dataclass(frozen=True, eq=False)
class Failed:
    """A job that an error of the model's, or one that nothing foresees, put an end to."""

    job: Job
    error: Exception


class Group:
    """Jobs of equal company, drawn in the same forward passes; `since` is when each image came."""

    def __init__(self, model: Model, jobs: Sequence[Job], clock: Clock):
        self.jobs, self.clock = list(jobs), clock
        self.since = [(time.perf_counter(), clock.seconds)] * len(jobs)
        job = jobs[0]
        with clock:
            session = model.open_rows([job.rows for job in jobs], job.grid, [job.guidance for job in jobs])
        seeds = torch.tensor([job.seed for job in jobs], device=model.device)
        self.drawing = Drawing(ClockedSession(session, clock), job.decoder, job.sampling, seeds)
        self.trace = Trace.blank(len(jobs), job.grid, model.device)
        self._note()

    def advance(self) -> None:
        """One forward pass, unless there is nothing left to draw."""
        if not all(self.drawing.canvas.finished):
            self.drawing.advance()
            self._note()

    def join(self, other: "Group") -> None:
        self.drawing.join(other.drawing)
        self.trace = Trace.joined([self.trace, other.trace])
        self.jobs, self.since = self.jobs + other.jobs, self.since + other.since

    def keep(self, leaves: Sequence[bool]) -> None:
        """Go on without the images for whose number in the group `leaves` is true."""
        numbers = staying(leaves)
        images = self._images(numbers)
        self.drawing.select(images)
        self.trace = self.trace.select(images)
        self.jobs, self.since = [self.jobs[i] for i in numbers], [self.since[i] for i in numbers]

    def canvas(self, image: int) -> Canvas:
        """A copy of one image as far as it is."""
        return self.drawing.canvas.select(self._images([image]))

    def take_over(self) -> list[Finished | Failed]:
        """The images that are done leave, and those whose logits give no probabilities."""
        canvas, over = self.drawing.canvas, list[Finished | Failed]()
        errors = self.drawing.errors(canvas)
        leaves = [done or error is not None for done, error in zip(canvas.finished, errors, strict=True)]
        for i, error in enumerate(errors):
            if error is not None:
                over.append(Failed(self.jobs[i], error))
            elif leaves[i]:
                over.append(Finished(self.jobs[i], self.canvas(i), self._trace(i)))
        if all(leaves):
            self.jobs = []
        elif over:
            self.keep(leaves)
        return over

    def _trace(self, image: int) -> Trace:
        started, before = self.since[image]
        seconds, inside = time.perf_counter() - started, self.clock.seconds - before
        one = self.trace.select(self._images([image]))
        return Trace(one.committed.cpu(), one.asked.cpu(), seconds, inside)

    def _note(self) -> None:
        self.trace.note(self.drawing.canvas, self.drawing.step + 1)

    def _images(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self.drawing.seeds.device)


class Scheduler:
    """Draws jobs, at most `batch_size` images at a time, first come, first served.

    A job enters as soon as there is a place, and memory for it. Those of equal company share their forward passes;
    where not all do, `step` is one pass for each company. What an image becomes does not depend on who else is here.
    Nothing here is thread-safe.
    """

    def __init__(self, model: Model, batch_size: int):
        self.model, self.batch = model, whole("batch_size", batch_size, least=1, of="images")
        self.clock = Clock(model.device)
        self.waiting: deque[Job] = deque()
        self.passes = 0  # forward passes so far, the prompts' included
        self._groups: dict[Hashable, Group] = {}
        self._room, self._halved = Room(model), False

    @property
    def drawing(self) -> list[Job]:
        return [job for group in self._groups.values() for job in group.jobs]

    @property
    def places(self) -> int:
        """How many more jobs could be drawn at once."""
        return self.batch - len(self.drawing) - len(self.waiting)

    def halve(self) -> bool:
        """Draw half as many images at a time from now on; False if that has been done before, or cannot be."""
        if self._halved or self.batch == 1:
            return False
        self._halved, self.batch = True, self.batch // 2
        return True

    def add(self, job: Job) -> None:
        self.waiting.append(job)

    @torch.inference_mode()
    def drop(self, jobs: Sequence[Job]) -> None:
        """Forget these jobs, whether they wait, are being drawn or are done already."""
        out = set(map(id, jobs))
        self.waiting = deque(job for job in self.waiting if id(job) not in out)
        for company, group in list(self._groups.items()):
            leaves = [id(job) in out for job in group.jobs]
            if all(leaves):
                del self._groups[company]
            elif any(leaves):
                group.keep(leaves)

    @torch.inference_mode()
    def step(self) -> list[Finished | Failed]:
        """Let waiting jobs in, then one forward pass; who is done with that. An error ends only those it concerns."""
        over: list[Finished | Failed] = list(self._admit())
        for company, group in list(self._groups.items()):
            try:
                group.advance()
                self.passes += 1
                over += group.take_over()
            except Exception as error:
                over += [Failed(job, error) for job in group.jobs]
                group.jobs = []
            if not group.jobs:
                del self._groups[company]
        return over

    def canvases(self) -> Iterator[tuple[list[Job], Canvas]]:
        """The images that are being drawn, company by company; the loop goes on writing to these canvases."""
        for group in self._groups.values():
            yield group.jobs, group.drawing.canvas

    def _admit(self) -> Iterator[Failed]:
        """Run the prompts' passes of as many as there are places for."""
        coming: dict[Hashable, list[Job]] = {}
        for _ in range(min(len(self.waiting), self.batch - len(self.drawing))):
            job = self.waiting.popleft()
            coming.setdefault(job.company, []).append(job)
        held: list[Job] = []
        for company, asking in coming.items():
            jobs = asking[:1]  # whom it concerns if there is no room for one
            try:
                beside = len(self._groups[company].jobs) if company in self._groups else 0
                jobs = asking[: self._room.admitted(asking, beside, alone=not self._groups)]
                if not jobs:
                    continue
                group = Group(self.model, jobs, self.clock)
                self.passes += 1
                if company in self._groups:
                    self._groups[company].join(group)
                else:
                    self._groups[company] = group
            except Exception as error:
                yield from (Failed(job, error) for job in jobs)
            finally:
                held += asking[len(jobs) :]
        self.waiting.extendleft(reversed(held))
