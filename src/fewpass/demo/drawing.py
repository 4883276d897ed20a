"""A drawing that advances one forward pass at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fewpass.core.canvas import Canvas
from fewpass.core.loop import decode
from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.engine.trace import Clock, ClockedSession, Trace
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
        self._whole, self._model = Clock(pipe.model.device), Clock(pipe.model.device)
        with torch.inference_mode(), self._timed(), self._model:
            session = pipe.model.open_rows([job.rows], job.grid, [job.guidance])
        seeds = torch.tensor([job.seed], device=pipe.model.device)
        self._canvases = self.trace.watch(
            decode(ClockedSession(session, self._model), job.decoder, job.sampling, seeds)
        )

    @property
    def finished(self) -> bool:
        """Whether the image is finished."""
        return self.canvas is not None and all(self.canvas.finished)

    @torch.inference_mode()
    def __next__(self) -> Canvas:
        with self._timed():
            self.canvas = next(self._canvases)
        return self.canvas

    def result(self) -> Result:
        """The result with the tokens drawn so far."""
        canvas = self.canvas or next(self)
        with self._timed():
            return self.pipe.result([self.job], canvas, self.trace)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        with self._whole:
            yield
        self.trace.seconds, self.trace.model_seconds = self._whole.seconds, self._model.seconds
