"""Seconds of whole images, and of single forward passes and their parts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from fewpass.bench.memory import Peak
from fewpass.bench.task import Task
from fewpass.core.canvas import Canvas
from fewpass.core.errors import OutOfMemory
from fewpass.core.loop import Drawing
from fewpass.core.protocol import Decoder
from fewpass.engine.scheduler import Batch


def now(device: torch.device) -> float:
    """Seconds, after the device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def busy(device: torch.device) -> float:
    """As `now`; on one CPU thread the processor's time, which other programs do not lengthen."""
    if device.type == "cpu" and torch.get_num_threads() == 1:
        return time.process_time()
    return now(device)


@dataclass(frozen=True)
class Drawn:
    """Cost of images drawn in one batch.

    Attributes:
        passes: Forward passes of each image, the prefill included.
        prefill: Seconds of the prefill; None if it is timed with the passes behind it.
        decode: Seconds of the passes behind it.
        detokenise: Seconds from tokens to pixels; None without pixels.
        peak: Bytes of the peak on a GPU.
        committed: For each image, the pass at which each token became final.
    """

    passes: tuple[int, ...]
    prefill: float | None
    decode: float
    detokenise: float | None
    peak: int | None
    committed: tuple[tuple[int, ...], ...] = ()

    @property
    def seconds(self) -> float:
        return (self.prefill or 0.0) + self.decode + (self.detokenise or 0.0)


@torch.inference_mode()
def draw(task: Task, decoder: Decoder, numbers: Sequence[int]) -> Drawn:
    """Draw these images in one batch. The clock is read between the phases only, so that it slows nothing down."""
    device, grid = task.model.device, task.settings.grid
    peak, batch = Peak(device), Batch(task.model, task.jobs(numbers, decoder))
    times = [now(device)]

    def note_prefill(canvas: Canvas) -> None:
        if len(times) == 1:
            times.append(now(device))

    batch.draw(note_prefill)
    times.append(now(device))
    if batch.scheduler.most < len(numbers) or batch.scheduler.batch_size < len(numbers):
        raise OutOfMemory(f"{len(numbers)} images do not fit into memory together")
    if task.no_pixels is None:
        tokens = batch.canvas.tokens[:, : grid.size]
        task.model.pictures(tokens, grid, task.prompts_of(numbers), list(numbers)).cpu()
        times.append(now(device))
    prefill, decoding, *detokenise = (after - before for before, after in pairwise(times))
    committed = tuple(map(tuple, batch.trace.committed.tolist()))
    passes = tuple(batch.trace.passes.tolist())
    return Drawn(passes, prefill, decoding, detokenise[0] if detokenise else None, peak.bytes, committed)


@dataclass(frozen=True)
class Pass:
    """Seconds of a forward pass; with its parts timed, also those of the model's body and head."""

    seconds: float
    body: float | None = None
    head: float | None = None

    @property
    def elsewhere(self) -> float | None:
        return None if self.body is None or self.head is None else self.seconds - self.body - self.head


class Timed:
    """A part of a network with a stopwatch."""

    def __init__(self, part: Callable, device: torch.device):
        self.part, self.device, self.seconds = part, device, 0.0

    def __call__(self, *inputs: object) -> Tensor:
        started = busy(self.device)
        result = self.part(*inputs)
        self.seconds += busy(self.device) - started
        return result

    def taken(self) -> float:
        """Seconds since the last call of `taken`."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


@torch.inference_mode()
def time_passes(task: Task, decoder: Decoder, passes: int, images: int = 1) -> list[Pass]:
    """Time the first `passes` passes of a drawing behind a warm-up pass; fewer if the image ends before.

    Every other pass has its parts timed, which makes a GPU wait for each of them; only the other passes measure a
    whole pass. Passes near the end, whose window is cut, are left out.
    """
    device, numbers = task.model.device, range(images)
    session = task.open(numbers)
    drawing = Drawing(session, decoder, task.sampling, task.seeds(numbers))
    drawing.advance()
    plain = session.network
    body, head = Timed(plain.body, device), Timed(plain.head, device)
    watched = replace(plain, body=body, head=head)
    found: list[Pass] = []
    while len(found) < passes and task.tokens - max(drawing.canvas.lengths) >= decoder.margin:
        split = len(found) % 2 == 1
        session.network = watched if split else plain
        started = busy(device)
        drawing.advance()
        _ = drawing.canvas.lengths  # the loop reads them in every pass
        seconds = busy(device) - started
        found.append(Pass(seconds, body.taken(), head.taken()) if split else Pass(seconds))
    return found
