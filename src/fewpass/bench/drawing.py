"""Whole images, from the prompts to the pixels, and where the seconds went."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from fewpass.bench.clock import now
from fewpass.bench.memory import Peak
from fewpass.bench.task import Task
from fewpass.core.canvas import Canvas
from fewpass.core.errors import OutOfMemory
from fewpass.core.protocol import Decoder
from fewpass.engine.scheduler import Batch


@dataclass(frozen=True)
class Drawn:
    """What images that were drawn together have cost. `prefill` is None where it cannot be told from
    the passes behind it, `detokenise` where there are no pictures.

    `passes` are those of each image, the prompt's included; `committed` says at which of them each token became final.
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
    """Draw these images together. The clock is read between the phases only, so that it slows nothing down."""
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
    if task.picture_trouble is None:
        prompts = [task.prompts[i % len(task.prompts)] for i in numbers]
        task.model.pictures(batch.canvas.tokens[:, : grid.size], grid, prompts, list(numbers)).cpu()
        times.append(now(device))
    prefill, decoding, *detokenise = (after - before for before, after in pairwise(times))
    committed = tuple(map(tuple, batch.trace.committed.tolist()))
    passes = tuple(batch.trace.passes.tolist())
    return Drawn(passes, prefill, decoding, detokenise[0] if detokenise else None, peak.bytes, committed)
