"""The thread that draws for everybody."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from fewpass.core.canvas import Canvas
from fewpass.core.errors import ModelError, OutOfMemory
from fewpass.engine.request import Job
from fewpass.engine.scheduler import Failed, Finished, Scheduler
from fewpass.pipeline import Pipeline
from fewpass.serve.errors import ApiError
from fewpass.serve.limits import Limits
from fewpass.serve.metrics import Metrics
from fewpass.serve.order import Drawn, Event, Order, Preview

log = logging.getLogger(__name__)


class Engine:
    """Owns the pipeline: all drawing happens in its one thread. The methods may be called from any other."""

    def __init__(self, pipe: Pipeline, limits: Limits, metrics: Metrics):
        self.pipe, self.limits, self.metrics = pipe, limits, metrics
        self._scheduler = Scheduler(pipe.model, limits.batch_size)
        self._orders: dict[int, Order] = {}  # by the identity of each of their open jobs
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock, self._images = threading.Lock(), 0
        self._refusing = self._closed = False
        self._seconds = 1.0  # what an image took lately
        self._thread = threading.Thread(target=self._run, name="fewpass-engine", daemon=True)
        metrics.follow(lambda: len(self._scheduler.waiting), lambda: self._images - len(self._scheduler.waiting))

    @property
    def ready(self) -> bool:
        return self.alive and not self._refusing

    @property
    def alive(self) -> bool:
        """Whether it draws; it may be about to stop."""
        return self._thread.is_alive()

    @property
    def images(self) -> int:
        """How many are being drawn or wait."""
        return self._images

    def start(self) -> None:
        self._thread.start()

    def submit(self, jobs: Sequence[Job], previews: int, notify: Callable[[Event], object]) -> Order:
        """Have images drawn. Raises ApiError, 429 if there is no room for them or 503 if the server is stopping."""
        if not self.ready:
            raise _stopping()
        with self._lock:
            if self._images + len(jobs) > self.limits.places:
                wait = str(min(max(math.ceil(self._seconds * self._images / self.limits.batch_size), 1), 600))
                message = f"{self._images} images are being drawn or wait already; try again in {wait} s"
                raise ApiError(429, message, code="rate_limit_exceeded", headers={"Retry-After": wait})
            self._images += len(jobs)
        order = Order(jobs, previews, notify)
        self._commands.put(partial(self._add, order))
        return order

    def cancel(self, order: Order) -> None:
        """Forget what is not finished of an order; its rows are free with the next pass."""
        self._commands.put(partial(self._drop, order))

    def drain(self) -> None:
        """Take nothing more, refuse orders of which nothing has begun, finish the others."""
        self._refusing = True
        self._commands.put(self._refuse_waiting)

    def abort(self) -> None:
        """Refuse all that is not finished."""
        self._refusing = True
        self._commands.put(self._refuse_all)

    def close(self) -> None:
        """Stop the thread, whatever it is doing, after its pass."""
        self.abort()
        self._commands.put(self._stop)
        if self._thread.is_alive():
            self._thread.join()

    # In the thread:

    def _run(self) -> None:
        try:
            while not self._closed:
                self._obey()
                self._pass()
        except Exception:
            log.exception("drawing has stopped")
            self._end_all(ApiError(500, "the server failed; its log says how"))

    def _obey(self) -> None:
        """Commands that have come; wait for one if there is nothing to draw."""
        idle = not self._orders
        while idle or not self._commands.empty():
            self._commands.get()()
            idle = False

    def _pass(self) -> None:
        before = self._scheduler.passes
        over = self._scheduler.step()
        self.metrics.passes.inc(self._scheduler.passes - before)
        for outcome in over:
            order = self._orders.get(id(outcome.job))
            if order is not None:
                self._report(order, outcome)
        for jobs, canvas in list(self._scheduler.canvases()):
            for i, job in enumerate(jobs):
                order = self._orders.get(id(job))
                if order is not None:
                    self._preview(order, job, canvas, i)

    def _report(self, order: Order, outcome: Finished | Failed) -> None:
        try:
            if isinstance(outcome, Failed):
                raise outcome.error
            result = self.pipe.result([outcome.job], outcome.canvas, outcome.trace)
        except Exception as error:
            self._fail(order, outcome.job, error)
            return
        self._seconds += 0.2 * (result.trace.seconds - self._seconds)
        self.metrics.drawn(result.trace, time.monotonic() - order.placed)
        self._release(order, outcome.job)
        order.notify(Drawn(order.jobs.index(outcome.job), result))

    def _preview(self, order: Order, job: Job, canvas: Canvas, image: int) -> None:
        if not order.preview_due(job, canvas, image):
            return
        try:
            (picture,) = self.pipe.render(canvas.select(canvas.length.new_tensor([image])))
        except Exception as error:
            self._fail(order, job, error)
        else:
            order.notify(Preview(order.jobs.index(job), picture))

    def _fail(self, order: Order, job: Job, error: Exception) -> None:
        """One image of an order cannot be drawn, which ends the order."""
        log.error("an image failed", exc_info=error)
        self.metrics.images.labels("failed").inc()
        self._scheduler.drop([job])
        self._release(order, job)
        hidden = "the image could not be drawn; the server's log says why"
        if isinstance(error, OutOfMemory):
            self._end(order, ApiError(503, str(error), code="out_of_memory", headers={"Retry-After": "5"}))
        else:
            self._end(order, ApiError(500, str(error) if isinstance(error, ModelError) else hidden))

    def _add(self, order: Order) -> None:
        if self._refusing:
            self._end(order, _stopping())
            return
        for job in order.jobs:
            self._orders[id(job)] = order
            self._scheduler.add(job)

    def _drop(self, order: Order) -> None:
        jobs = list(order.open)
        self._scheduler.drop(jobs)
        self.metrics.images.labels("dropped").inc(len(jobs))
        for job in jobs:
            self._release(order, job)

    def _release(self, order: Order, job: Job) -> None:
        order.open.remove(job)
        self._orders.pop(id(job), None)
        with self._lock:
            self._images -= 1

    def _end(self, order: Order, error: ApiError) -> None:
        self._drop(order)
        order.notify(error)

    def _end_all(self, error: ApiError) -> None:
        for order in set(self._orders.values()):
            self._end(order, error)

    def _refuse_waiting(self) -> None:
        waiting = set(map(id, self._scheduler.waiting))
        for order in set(self._orders.values()):
            if all(id(job) in waiting for job in order.jobs):
                self._end(order, _stopping())

    def _refuse_all(self) -> None:
        self._end_all(_stopping())

    def _stop(self) -> None:
        self._closed = True


def _stopping() -> ApiError:
    return ApiError(503, "the server is stopping", code="server_stopping", headers={"Retry-After": "5"})
