"""A benchmark: its plan, the order of measurements, and their results."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from fewpass.bench import baseline
from fewpass.bench.replay import Traces, replayed
from fewpass.bench.task import Task
from fewpass.bench.timing import Drawn, Pass, draw, time_passes
from fewpass.core.errors import OutOfMemory
from fewpass.core.protocol import Decoder
from fewpass.decoders.recipes import ar as autoregression
from fewpass.viz.progress import Step

EXPECTED = 3.0  # tokens per pass, for the time left


@dataclass(frozen=True)
class Plan:
    """The measurements: `ar` is the first of the `decoders`; `passes` passes are timed for each of `windows`."""

    decoders: Sequence[Decoder]
    windows: Sequence[int]
    batch_sizes: Sequence[int]
    repetitions: int
    passes: int


class Benchmark:
    """Decoders take turns on every image, window and batch, so that a slow minute of the machine slows them all.

    With random weights, `traces` hold the tokens that passes commit. `against` is transformers' own `generate`.
    """

    def __init__(self, task: Task, plan: Plan, traces: Traces | None = None, against: baseline.Baseline | None = None):
        self.task, self.plan, self.traces, self.against = task, plan, traces, against
        self.images: dict[str, list[Drawn]] = defaultdict(list)  # by decoder, in the order of images
        self.windows: dict[tuple[str, int], list[Pass]] = defaultdict(list)
        self.batches: dict[tuple[str, int], list[Drawn]] = defaultdict(list)
        self.notes: list[str] = []
        self._full: int | None = None  # the smallest batch that did not fit

    def steps(self) -> Iterator[Step]:
        """The measurements in their order, behind a warm-up."""
        for decoder in self.plan.decoders:
            yield Step(f"warming up {decoder}", 4, partial(time_passes, self.task, self._run(decoder), 1))
        if self.against is not None:
            yield Step(f"warming up {baseline.NAME}", self.task.tokens, partial(self.against, 0))
        for turn in range(self.plan.repetitions):
            yield from self._images(turn)
            yield from self._windows()
            yield from self._batches(turn)

    def _images(self, turn: int) -> Iterator[Step]:
        images = len(self.task.prompts)
        for number in range(turn * images, (turn + 1) * images):
            for decoder in self.plan.decoders:
                step = partial(self._draw, self.images[str(decoder)], decoder, [number])
                yield Step(f"image {number + 1}, {decoder}", self._passes(decoder), step)
            if self.against is not None:
                step = partial(self._draw_baseline, self.against, number)
                yield Step(f"image {number + 1}, {baseline.NAME}", self.task.tokens, step)

    def _windows(self) -> Iterator[Step]:
        for window in self.plan.windows:
            for decoder in self.plan.decoders:
                chosen = _windowed(decoder, window)
                if chosen is not None:
                    step = partial(self._time, decoder, chosen, window)
                    yield Step(f"{decoder}, window {window}", self.plan.passes, step)

    def _batches(self, turn: int) -> Iterator[Step]:
        for batch in self.plan.batch_sizes:
            for decoder in self.plan.decoders:
                expected = self._passes(decoder) * (1 + batch) / 2  # a batch is faster than its images, one by one
                yield Step(
                    f"{batch} images together, {decoder}", expected, partial(self._together, decoder, batch, turn)
                )

    def _passes(self, decoder: Decoder) -> float:
        return self.task.tokens / (1 if decoder.margin == 1 else EXPECTED)

    def _run(self, decoder: Decoder, basis: Decoder | None = None) -> Decoder:
        """The decoder to run: with random weights, one that follows the traces of `basis`, by default its own."""
        return decoder if self.traces is None else replayed(decoder, self.traces.get(str(basis or decoder), ()))

    def _draw(self, results: list[Drawn], decoder: Decoder, numbers: Sequence[int]) -> None:
        results.append(draw(self.task, self._run(decoder), numbers))

    def _draw_baseline(self, against: baseline.Baseline, number: int) -> None:
        self.images[baseline.NAME].append(against(number))

    def _time(self, basis: Decoder, decoder: Decoder, window: int) -> None:
        self.windows[str(basis), window] += time_passes(self.task, self._run(decoder, basis), self.plan.passes)

    def _together(self, decoder: Decoder, batch: int, turn: int) -> None:
        if self._full is not None and batch >= self._full:
            return
        try:
            self._draw(self.batches[str(decoder), batch], decoder, range(turn * batch, (turn + 1) * batch))
        except (OutOfMemory, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
            self._full = batch
            self.notes.append(f"{batch} images together do not fit into memory with {decoder}.")


def _windowed(decoder: Decoder, window: int) -> Decoder | None:
    """The decoder with another window; None if it has none. `ar` stands for window 0."""
    if decoder.margin == 1:
        return decoder if window == 0 and str(decoder) == str(autoregression()) else None
    if window == 0:
        return None
    try:
        return decoder.with_options(window=window)
    except ValueError:
        return None
