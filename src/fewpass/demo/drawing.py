"""A drawing that advances one forward pass at a time."""

from collections.abc import Iterator

from fewpass.core.canvas import Canvas
from fewpass.engine.group import Failed
from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.engine.scheduler import Scheduler
from fewpass.engine.trace import Clock, Trace
from fewpass.pipeline import Pipeline


class Stream(Iterator[Canvas]):
    """Yields the canvas of one request after the prefill and every other pass, until the image is finished.

    `trace` is up to date after every pass; its seconds leave out the caller's work. Several streams may take turns in
    one thread.
    """

    def __init__(self, pipe: Pipeline, job: Job):
        self.pipe, self.job = pipe, job
        self.canvas: Canvas | None = None
        self.trace = Trace.blank(1, job.grid)
        self._clock, self._scheduler = Clock(pipe.model.device), Scheduler(pipe.model, 1)
        self._scheduler.add(job)

    @property
    def finished(self) -> bool:
        """Whether the image is finished."""
        return self.canvas is not None and all(self.canvas.finished)

    def __next__(self) -> Canvas:
        if self.finished:
            raise StopIteration
        with self._clock:
            for one in self._scheduler.step():
                if isinstance(one, Failed):
                    raise one.error
                self.canvas, self.trace = one.canvas, one.trace
            if self._scheduler.drawing:
                self.canvas, self.trace = self._scheduler.so_far(self.job)
        self.trace.seconds, self.trace.model_seconds = self._clock.seconds, self._scheduler.clock.seconds
        assert self.canvas is not None
        return self.canvas

    def result(self) -> Result:
        """The result with the tokens drawn so far; its pixels are not in the seconds."""
        return self.pipe.result([self.job], self.canvas or next(self), self.trace)
