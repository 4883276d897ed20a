"""A benchmark: its plan, the order of measurements, and their results."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from fewpass.bench import baseline, memory
from fewpass.bench.replay import replayed
from fewpass.bench.task import Task
from fewpass.bench.timing import Drawn, Pass, draw, time_passes
from fewpass.bench.traces import Traces
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
        self.memory: dict[str, dict[str, int]] = {}
        self.notes: list[str] = []
        self._full: set[int] = set()  # batches that did not fit

    def steps(self) -> Iterator[Step]:
        """The measurements in their order; the first ones allocate memory and are the warm-up."""
        for decoder in self.plan.decoders:
            yield Step(f"memory of {decoder}", 4, lambda d=decoder: self._remember(d))  # type: ignore[misc]
        if self.against is not None:
            yield Step(f"warming up {baseline.NAME}", self.task.tokens, self._warm_up)
        for turn in range(self.plan.repetitions):
            yield from self._images(turn)
            yield from self._windows()
            yield from self._batches(turn)

    def _images(self, turn: int) -> Iterator[Step]:
        images = len(self.task.prompts)
        for number in range(turn * images, (turn + 1) * images):
            for decoder in self.plan.decoders:
                yield Step(f"image {number + 1}, {decoder}", self._passes(decoder), self._drawing(decoder, number))
            if self.against is not None:
                yield Step(
                    f"image {number + 1}, {baseline.NAME}", self.task.tokens, self._baseline(self.against, number)
                )

    def _windows(self) -> Iterator[Step]:
        for window in self.plan.windows:
            for decoder in self.plan.decoders:
                chosen = _windowed(decoder, window)
                if chosen is not None:
                    yield Step(f"{decoder}, window {window}", self.plan.passes, self._timing(decoder, chosen, window))

    def _batches(self, turn: int) -> Iterator[Step]:
        for batch in self.plan.batch_sizes:
            for decoder in self.plan.decoders:
                expected = self._passes(decoder) * (1 + batch) / 2  # a batch is faster than its images, one by one
                yield Step(f"{batch} images together, {decoder}", expected, self._together(decoder, batch, turn))

    def _passes(self, decoder: Decoder) -> float:
        return self.task.tokens / (1 if decoder.margin == 1 else EXPECTED)

    def _followed(self, decoder: Decoder, basis: Decoder) -> Decoder:
        """The decoder to run: with random weights, one that follows the traces of `basis`."""
        return decoder if self.traces is None else replayed(decoder, self.traces.get(str(basis), ()))

    def _remember(self, decoder: Decoder) -> None:
        self.memory[str(decoder)] = memory.measured(self.task, decoder)

    def _warm_up(self) -> None:
        assert self.against is not None
        self.against(0)

    def _drawing(self, decoder: Decoder, number: int) -> Callable[[], None]:
        run = self._followed(decoder, decoder)
        return lambda: self.images[str(decoder)].append(draw(self.task, run, [number]))

    def _baseline(self, against: baseline.Baseline, number: int) -> Callable[[], None]:
        return lambda: self.images[baseline.NAME].append(against(number))

    def _timing(self, basis: Decoder, decoder: Decoder, window: int) -> Callable[[], None]:
        run = self._followed(decoder, basis)
        return lambda: self.windows[str(basis), window].extend(time_passes(self.task, run, self.plan.passes))

    def _together(self, decoder: Decoder, batch: int, turn: int) -> Callable[[], None]:
        run, numbers = self._followed(decoder, decoder), range(turn * batch, (turn + 1) * batch)

        def step() -> None:
            if any(full <= batch for full in self._full):
                return
            try:
                drawn = draw(self.task, run, numbers)
            except (OutOfMemory, torch.OutOfMemoryError):
                torch.cuda.empty_cache()
                self._full.add(batch)
                self.notes.append(f"{batch} images together do not fit into memory with {decoder}.")
            else:
                self.batches[str(decoder), batch].append(drawn)

        return step


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
