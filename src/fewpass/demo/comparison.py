"""Two decoders that draw the same prompt on one machine, and the models they draw with."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from fewpass.core.canvas import Canvas
from fewpass.core.messages import shown
from fewpass.decoders import decoder as decoder_of
from fewpass.decoders.recipes import ar
from fewpass.engine.group import Failed
from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.engine.scheduler import Scheduler
from fewpass.engine.seeds import assign
from fewpass.engine.trace import Clock, Trace
from fewpass.pipeline import Pipeline

WARM_UP = 4  # forward passes
LEAST = 0.1  # seconds between two updates


class Models:
    """Models by name, loaded on demand; one at a time is kept in memory."""

    def __init__(self, names: Sequence[str], load: Callable[[str], Pipeline]):
        self.names, self._load = list(dict.fromkeys(names)), load
        self._loaded: tuple[str, Pipeline] | None = None

    def __getitem__(self, name: str) -> Pipeline:
        """Raises ValueError for a model that cannot be loaded."""
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None  # freed before the next one is loaded
            self._loaded = name, self._load(name)
        return self._loaded[1]


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


class Comparison:
    """Streams that take turns: the next forward pass belongs to the one with the least time so far.

    While both draw, their times differ by at most one pass. So the first to finish here is also the first where each
    has the machine to itself, and `trace.seconds` of each is its time there.
    """

    def __init__(self, streams: Sequence[Stream]):
        self.streams = streams

    @property
    def finished(self) -> bool:
        """Whether all images are finished."""
        return all(stream.finished for stream in self.streams)

    @property
    def same(self) -> bool:
        """Whether all streams drew the same tokens."""
        first, *others = (stream.canvas.tokens[:, : stream.job.grid.size] for stream in self.streams if stream.canvas)
        return all(other.equal(first) for other in others)

    def step(self) -> None:
        """One forward pass of one stream."""
        unfinished = [stream for stream in self.streams if not stream.finished]
        turn = min(unfinished, key=lambda stream: stream.trace.seconds)
        next(turn)

    def warm_up(self) -> Iterator[None]:
        """Draw the first passes of each image, and throw them away: the first passes of a process are slow."""
        for stream in self.streams:
            for _ in islice(Stream(stream.pipe, stream.job), WARM_UP):
                yield

    def updates(self) -> Iterator[None]:
        """Draw until all images are finished, and yield now and then.

        The caller's work between two steps of this iterator takes at most a third of the time.
        """
        due = 0.0
        while not self.finished:
            self.step()
            if time.perf_counter() >= due:
                began = time.perf_counter()
                yield
                ended = time.perf_counter()
                due = ended + max(LEAST, 2 * (ended - began))


def compare(
    pipe: Pipeline, prompt: str, spelling: str | None, window: float | None, guidance: float | None, seed: str
) -> Comparison:
    """Compare `ar` and another decoder on one prompt, with the same seed and settings.

    A window or guidance of None is the decoder's or the model's own, a blank seed a random one. Raises ValueError
    naming the value that is out of range.
    """
    if not spelling:
        raise ValueError("choose a decoder")
    other, (number,) = decoder_of(spelling), assign(_whole(seed), 1)
    if window is not None:
        other = other.with_options(window=window)
    jobs = [pipe.job(prompt, decoder=decoder, guidance=guidance, seed=number) for decoder in (ar(), other)]
    return Comparison([Stream(pipe, job) for job in jobs])


def _whole(seed: str) -> int | None:
    try:
        return int(seed) if seed.strip() else None
    except ValueError:
        raise ValueError(f"a seed must be a whole number < 2**63, got {shown(seed)}") from None
