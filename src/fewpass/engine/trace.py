"""The cost of a drawing: passes, tokens per pass, seconds. The algorithms do not use it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.messages import shown
from fewpass.core.protocol import Decoder


@dataclass(eq=False)
class Trace:
    """`passes` [B] counts forward passes with the prompt's, so autoregression needs N of them.

    `committed` [B, N] is the pass at which each token became final, 1 for token 0, and 0 where drawing stopped
    before. `seconds` is the duration of the drawing, `model_seconds` the part inside the model, prompts included.
    """

    committed: Tensor
    seconds: float = 0.0
    model_seconds: float = 0.0

    def __repr__(self) -> str:
        images, tokens = self.committed.shape
        return f"Trace({images} x {tokens} tokens, passes {shown(self.passes.tolist())}, {self.seconds:.2f} s)"

    @classmethod
    def blank(cls, images: int, grid: Grid, device: torch.device | str = "cpu") -> "Trace":
        """The trace of images of which nothing has been drawn yet."""
        return cls(torch.zeros(images, grid.size, dtype=torch.long, device=device))

    @property
    def passes(self) -> Tensor:
        """[B] int64, the prefill included."""
        return self.committed.amax(1)

    @property
    def tokens_per_pass(self) -> Tensor:
        """[B] float32, of the tokens that became final."""
        return (self.committed > 0).sum(1) / self.passes

    @classmethod
    def joined(cls, parts: Sequence["Trace"]) -> "Trace":
        """The trace of the images of all parts; the seconds add up."""
        committed = torch.cat([part.committed for part in parts])
        return cls(committed, sum(part.seconds for part in parts), sum(part.model_seconds for part in parts))

    def select(self, images: Tensor) -> "Trace":
        """Only the images listed in `images` [b]; the seconds are those of all."""
        return replace(self, committed=self.committed[images])

    def note(self, canvas: Canvas, passes: Tensor) -> None:
        """The last of so many passes [B], of those images that were not finished before, has led to `canvas`."""
        new = canvas.final.to(self.committed.device) & (self.committed == 0)
        self.committed = torch.where(new, passes[:, None], self.committed)


def expected(decoder: Decoder) -> float:
    """Estimate of the tokens per pass of a decoder, for the time left."""
    return 1.0 if decoder.margin == 1 else 3.0


def now(device: torch.device) -> float:
    """Seconds, after the device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Clock:
    """Adds up the seconds spent inside `with clock:`, waiting for the device to be done."""

    def __init__(self, device: torch.device):
        self.device, self.seconds = device, 0.0

    def __enter__(self) -> "Clock":
        self._started = now(self.device)
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds += now(self.device) - self._started
