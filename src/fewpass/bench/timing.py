"""Seconds of whole images and of single forward passes, and peaks of memory."""

import sys
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
from fewpass.engine.trace import Clock, now


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
        prefill: Seconds of the prefill.
        decode: Seconds of the passes behind it.
        detokenise: Seconds from tokens to pixels; None without pixels.
        peak: Bytes of the peak on a GPU.
    """

    passes: int
    prefill: float
    decode: float
    detokenise: float | None
    peak: int | None

    @property
    def seconds(self) -> float:
        """From the prompts to the pixels."""
        return self.prefill + self.decode + (self.detokenise or 0.0)


@torch.inference_mode()
def draw(task: Task, decoder: Decoder, numbers: Sequence[int]) -> Drawn:
    """Draw these images in one batch. The clock is read between the phases only, so that it slows nothing down.

    Raises OutOfMemory if they do not fit into memory together.
    """
    model, jobs = task.model, task.jobs(numbers, decoder)
    on_gpu = model.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(model.device)
    batch, times = Batch(model, jobs), [now(model.device)]

    def note_prefill(canvas: Canvas) -> None:
        if len(times) == 1:
            times.append(now(model.device))

    batch.draw(note_prefill)
    times.append(now(model.device))
    if min(batch.scheduler.most, batch.scheduler.batch_size) < len(numbers):
        raise OutOfMemory(f"{len(numbers)} images do not fit into memory together")
    if task.no_pixels is None:
        tokens = batch.canvas.tokens[:, : task.tokens]
        model.pictures(tokens, task.settings.grid, [job.prompt for job in jobs], list(numbers)).cpu()
        times.append(now(model.device))
    prefill, decode, *rest = (after - before for before, after in pairwise(times))
    peak = torch.cuda.max_memory_allocated(model.device) if on_gpu else None
    return Drawn(int(batch.trace.passes[0]), prefill, decode, rest[0] if rest else None, peak)


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
