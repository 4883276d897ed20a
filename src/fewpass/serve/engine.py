"""The thread that draws the images of all requests."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from PIL import Image

from fewpass.core.canvas import Canvas
from fewpass.core.errors import ModelError, OutOfMemory
from fewpass.engine.group import Failed, Finished
from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.engine.scheduler import Scheduler
from fewpass.pipeline import Pipeline
from fewpass.serve.errors import ApiError
from fewpass.serve.limits import Limits
from fewpass.serve.metrics import Metrics

log = logging.getLogger(__name__)


Event = tuple[int, Image.Image | Result] | ApiError  # a preview or the result of image i; an error ends the request


@dataclass(eq=False)
class PendingRequest:
    """The images of one HTTP request. `notify` is called from the drawing thread and must not block."""

    jobs: Sequence[Job]
    previews: int  # of each image
    notify: Callable[[Event], object]
    submitted: float = field(default_factory=time.monotonic)
    parts: dict[int, int] = field(default_factory=dict)  # by image, the last part that had a preview

    def preview_due(self, job: Job, canvas: Canvas, image: int) -> bool:
        """Whether another of the `previews` + 1 equal parts of the image's rows is final; once for each part."""
        if not self.previews:
            return False
        index, grid = self.jobs.index(job), canvas.grid
        rows = max(canvas.lengths[image] - grid.start, 0) // grid.cols
        part = rows * (self.previews + 1) // grid.rows
        due = self.parts.get(index, 0) < part <= self.previews
        if due:
            self.parts[index] = part
        return due


class Engine:
    """Owner of the pipeline, which draws in its one thread only. Public methods may be called from other threads."""

    def __init__(self, pipe: Pipeline, limits: Limits, metrics: Metrics):
        self.pipe, self.limits, self.metrics = pipe, limits, metrics
        self.images = 0  # being drawn or waiting
        self._scheduler = Scheduler(pipe.model, limits.batch_size)
        self._pending: dict[Job, PendingRequest] = {}  # by each unfinished image
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._refusing = self._closed = False
        self._thread = threading.Thread(target=self._run, name="fewpass-engine", daemon=True)
        metrics.observe(lambda: len(self._scheduler.waiting), lambda: self.images - len(self._scheduler.waiting))

    @property
    def ready(self) -> bool:
        """Whether the engine accepts requests."""
        return self.alive and not self._refusing

    @property
    def alive(self) -> bool:
        """Whether the thread runs; the engine may be stopping."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, jobs: Sequence[Job], previews: int, notify: Callable[[Event], object]) -> PendingRequest:
        """Queue images. Raises ApiError: 429 if the queue is full, 503 if the server is stopping."""
        if not self.ready:
            raise _stopping()
        with self._lock:
            if self.images + len(jobs) > self.limits.capacity:
                message = f"{self.images} images are being drawn or wait already; try again in 5 s"
                raise ApiError(429, message, code="rate_limit_exceeded", headers={"Retry-After": "5"})
            self.images += len(jobs)
        request = PendingRequest(jobs, previews, notify)
        self._commands.put(partial(self._add, request))
        return request

    def cancel(self, request: PendingRequest) -> None:
        """Drop the unfinished images of a request before the next forward pass."""
        self._commands.put(partial(self._drop, request))

    def drain(self) -> None:
        """Accept no more requests, refuse those of which no image has begun, finish the others."""
        self._refusing = True
        self._commands.put(self._refuse_waiting)

    def abort(self) -> None:
        """Refuse all unfinished requests."""
        self._refusing = True
        self._commands.put(lambda: self._end_all(_stopping()))

    def close(self) -> None:
        """Refuse all unfinished requests, and stop the thread after its forward pass."""
        self.abort()
        self._commands.put(partial(setattr, self, "_closed", True))
        if self._thread.is_alive():
            self._thread.join()

    # In the thread:

    def _run(self) -> None:
        try:
            while not self._closed:
                self._run_commands()
                self._pass()
        except Exception:
            log.exception("drawing has stopped")
            self._end_all(ApiError(500, "the server failed; see its log"))

    def _run_commands(self) -> None:
        """Run queued commands; wait for one if there is nothing to draw."""
        idle = not self._pending
        while idle or not self._commands.empty():
            self._commands.get()()
            idle = False

    def _pass(self) -> None:
        before = self._scheduler.passes
        over = self._scheduler.step()
        self.metrics.passes.inc(self._scheduler.passes - before)
        for outcome in over:
            if request := self._pending.get(outcome.job):
                self._report(request, outcome)
        for jobs, canvas in list(self._scheduler.canvases()):
            for i, job in enumerate(jobs):
                if request := self._pending.get(job):
                    self._preview(request, job, canvas, i)

    def _report(self, request: PendingRequest, outcome: Finished | Failed) -> None:
        try:
            if isinstance(outcome, Failed):
                raise outcome.error
            result = self.pipe.result([outcome.job], outcome.canvas, outcome.trace)
        except Exception as error:
            self._fail(request, outcome.job, error)
            return
        self.metrics.finished(result.trace, time.monotonic() - request.submitted)
        self._release(outcome.job)
        request.notify((request.jobs.index(outcome.job), result))

    def _preview(self, request: PendingRequest, job: Job, canvas: Canvas, image: int) -> None:
        if not request.preview_due(job, canvas, image):
            return
        try:
            (picture,) = self.pipe.render(canvas.select(canvas.length.new_tensor([image])))
        except Exception as error:
            self._fail(request, job, error)
        else:
            request.notify((request.jobs.index(job), picture))

    def _fail(self, request: PendingRequest, job: Job, error: Exception) -> None:
        """End a request one of whose images failed."""
        log.error("an image failed", exc_info=error)
        self.metrics.images.labels("failed").inc()
        self._scheduler.drop([job])
        self._release(job)
        hidden = "the image could not be drawn; see the server's log"
        if isinstance(error, OutOfMemory):
            self._end(request, ApiError(503, str(error), code="out_of_memory", headers={"Retry-After": "5"}))
        else:
            self._end(request, ApiError(500, str(error) if isinstance(error, ModelError) else hidden))

    def _add(self, request: PendingRequest) -> None:
        self._pending.update(dict.fromkeys(request.jobs, request))
        if self._refusing:
            self._end(request, _stopping())
        else:
            for job in request.jobs:
                self._scheduler.add(job)

    def _drop(self, request: PendingRequest) -> None:
        jobs = [job for job in request.jobs if job in self._pending]
        self._scheduler.drop(jobs)
        self.metrics.images.labels("dropped").inc(len(jobs))
        for job in jobs:
            self._release(job)

    def _release(self, job: Job) -> None:
        del self._pending[job]
        with self._lock:
            self.images -= 1

    def _end(self, request: PendingRequest, error: ApiError) -> None:
        self._drop(request)
        request.notify(error)

    def _end_all(self, error: ApiError) -> None:
        for request in set(self._pending.values()):
            self._end(request, error)

    def _refuse_waiting(self) -> None:
        waiting = set(self._scheduler.waiting)
        for request in set(self._pending.values()):
            if waiting.issuperset(request.jobs):
                self._end(request, _stopping())


def _stopping() -> ApiError:
    return ApiError(503, "the server is stopping", code="server_stopping", headers={"Retry-After": "5"})
