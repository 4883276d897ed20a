"""Seconds of whole images and of single forward passes, and peaks of memory."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from fewpass.bench.task import Task
from fewpass.core.canvas import Canvas
from fewpass.core.errors import OutOfMemory
from fewpass.core.protocol import Decoder
from fewpass.engine.group import Group
from fewpass.engine.scheduler import Batch
from fewpass.engine.trace import Clock, Trace


def now(device: torch.device) -> float:
    """Seconds, after the device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Stopwatch:
    """Seconds of phases, and the peak of a GPU's memory since this object was created."""

    def __init__(self, device: torch.device):
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.times = [now(device)]

    def lap(self) -> None:
        """End a phase."""
        self.times.append(now(self.device))

    @property
    def phases(self) -> list[float]:
        """Seconds of each phase that has ended."""
        return [after - before for before, after in pairwise(self.times)]

    @property
    def peak(self) -> int | None:
        """Bytes; None on a CPU."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None


def process_peak() -> int | None:
    """The peak of the process's resident memory in bytes; None if the system does not report it."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@dataclass(frozen=True)
class Drawn:
    """Cost of images drawn in one batch.

    Attributes:
        passes: Forward passes of the first image, the prefill included.
        prefill: Seconds of the prefill; None if it is timed with the passes behind it.
        decode: Seconds of the passes behind it.
        detokenise: Seconds from tokens to pixels; None without pixels.
        peak: Bytes of the peak on a GPU.
        trace: None of a drawing without the engine.
    """

    passes: int
    prefill: float | None
    decode: float
    detokenise: float | None
    peak: int | None
    trace: Trace | None = None

    @property
    def seconds(self) -> float:
        """From the prompts to the pixels."""
        return (self.prefill or 0.0) + self.decode + (self.detokenise or 0.0)


@torch.inference_mode()
def draw(task: Task, decoder: Decoder, numbers: Sequence[int]) -> Drawn:
    """Draw these images in one batch. The clock is read between the phases only, so that it slows nothing down.

    Raises:
        OutOfMemory: They do not fit into memory together.
    """
    jobs = task.jobs(numbers, decoder)
    batch, watch = Batch(task.model, jobs), Stopwatch(task.model.device)

    def note_prefill(canvas: Canvas) -> None:
        if not watch.phases:
            watch.lap()

    batch.draw(note_prefill)
    watch.lap()
    if batch.scheduler.most < len(numbers) or batch.scheduler.batch_size < len(numbers):
        raise OutOfMemory(f"{len(numbers)} images do not fit into memory together")
    if task.no_pixels is None:
        tokens = batch.canvas.tokens[:, : task.tokens]
        task.model.pictures(tokens, task.settings.grid, [job.prompt for job in jobs], list(numbers)).cpu()
        watch.lap()
    prefill, decoding, detokenise = [*watch.phases, None][:3]
    assert decoding is not None
    return Drawn(int(batch.trace.passes[0]), prefill, decoding, detokenise, watch.peak, batch.trace)


@dataclass(frozen=True)
class Pass:
    """Seconds of a forward pass, and the part of them inside the model."""

    seconds: float
    model_seconds: float


@torch.inference_mode()
def time_passes(task: Task, decoder: Decoder, passes: int, images: int = 1) -> list[Pass]:
    """Time the first `passes` passes of a drawing behind a warm-up pass; fewer if the image ends before.

    Passes near the end, whose window is cut, are left out.
    """
    clock, found = Clock(task.model.device), list[Pass]()
    group = Group(task.model, task.jobs(range(images), decoder), clock)
    group.advance()
    while len(found) < passes and task.tokens - max(group.drawing.canvas.lengths) >= decoder.margin:
        started, inside = now(clock.device), clock.seconds
        group.advance()
        found.append(Pass(now(clock.device) - started, clock.seconds - inside))
    return found
