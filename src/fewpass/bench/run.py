"""A benchmark: the order of its measurements, and their results."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from fewpass.bench.task import Task
from fewpass.bench.timing import Drawn, Pass, draw, time_passes
from fewpass.core.errors import OutOfMemory
from fewpass.core.protocol import Decoder
from fewpass.engine.trace import expected
from fewpass.viz.progress import Step


@dataclass
class Benchmark:
    """Decoders take turns on every image, window and batch, so that a slow minute of the machine slows them all.

    `ar` is the first of the `decoders`; `passes` passes are timed for each of `windows`.
    """

    task: Task
    decoders: Sequence[Decoder]
    windows: Sequence[int]
    batch_sizes: Sequence[int]
    repetitions: int
    passes: int
    drawn: dict[str, list[Drawn]] = field(default_factory=lambda: defaultdict(list))  # by decoder, image by image
    timed: dict[tuple[str, int], list[Pass]] = field(default_factory=lambda: defaultdict(list))
    batches: dict[tuple[str, int], list[Drawn]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)
    full: int | None = None  # the smallest batch that did not fit

    def steps(self) -> Iterator[Step]:
        """The measurements in their order, behind a warm-up."""
        for decoder in self.decoders:
            yield Step(f"warming up {decoder}", 4, partial(time_passes, self.task, decoder, 1))
        for turn in range(self.repetitions):
            yield from self._images(turn)
            yield from self._windows()
            yield from self._batches(turn)

    def _images(self, turn: int) -> Iterator[Step]:
        images = len(self.task.prompts)
        for number in range(turn * images, (turn + 1) * images):
            for decoder in self.decoders:
                yield Step(
                    f"image {number + 1}, {decoder}", self._passes(decoder), partial(self._draw, decoder, number)
                )

    def _windows(self) -> Iterator[Step]:
        for window in self.windows:
            for decoder in self.decoders:
                chosen = _windowed(decoder, window)
                if chosen is not None:
                    step = partial(self._time, str(decoder), chosen, window)
                    yield Step(f"{decoder}, window {window}", self.passes, step)

    def _batches(self, turn: int) -> Iterator[Step]:
        for batch in self.batch_sizes:
            for decoder in self.decoders:
                cost = self._passes(decoder) * (1 + batch) / 2  # a batch is faster than its images, one by one
                step = partial(self._together, decoder, batch, turn)
                yield Step(f"{batch} images together, {decoder}", cost, step)

    def _passes(self, decoder: Decoder) -> float:
        return self.task.tokens / expected(decoder)

    def _draw(self, decoder: Decoder, number: int) -> None:
        self.drawn[str(decoder)].append(draw(self.task, decoder, [number]))

    def _time(self, name: str, decoder: Decoder, window: int) -> None:
        self.timed[name, window] += time_passes(self.task, decoder, self.passes)

    def _together(self, decoder: Decoder, batch: int, turn: int) -> None:
        if self.full is not None and batch >= self.full:
            return
        try:
            drawn = draw(self.task, decoder, range(turn * batch, (turn + 1) * batch))
        except (OutOfMemory, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
            self.full = batch
            self.notes.append(f"{batch} images together do not fit into memory with {decoder}.")
        else:
            self.batches[str(decoder), batch].append(drawn)


def _windowed(decoder: Decoder, window: int) -> Decoder | None:
    """The decoder with another window; None without drafts, for which a window means something else, if anything.

    `ar` stands for window 0.
    """
    if window == 0 or decoder.margin == 1:
        return decoder if window == 0 and decoder.recipe == "ar" else None
    try:
        return decoder.with_options(window=window)
    except ValueError:
        return None
