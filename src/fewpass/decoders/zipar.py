"""ZipAR: rows are drawn token by token, side by side."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import MOST, whole
from fewpass.core.messages import shown
from fewpass.core.noise import ACCEPT, CORRECT, Noise
from fewpass.core.protocol import Decoder, Query, SessionInfo, State
from fewpass.decoders.row_frontier import RowFrontier, check_rows
from fewpass.decoders.rules import Strict


@dataclass(frozen=True)
class ZipAR(Decoder):
    """Open a row when the row above has `window` tokens, or all. arXiv 2412.04062. Lossy.

    Every pass adds one token to each open row, drawn under the noise of autoregression and final at once. A window of a
    whole row is autoregression.

    With `adaptive`, `window` is the least head start: the first token of a row is drawn, tested in the next pass
    against its distribution given one more token of the row above, and drawn anew until it is accepted or the row above
    is finished.
    """

    window: int
    adaptive: bool = False

    def __post_init__(self) -> None:
        whole("window", self.window, 1, MOST, of="tokens")
        if not isinstance(self.adaptive, bool):
            raise ValueError(f"adaptive must be True or False, got {shown(self.adaptive)}")

    def bind(self, info: SessionInfo) -> Self:
        check_rows(info)
        return self

    @property
    def margin(self) -> int:
        return 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        nothing = torch.full_like(canvas.length, -1)
        return (nothing, torch.zeros_like(p[:, 0])) if self.adaptive else ()

    def draft(self, canvas: Canvas, state: State) -> Query:
        return RowFrontier.of(canvas, self.window).ask(canvas, 0)

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        p = p[:, 1:]  # the first answer belongs to an open row
        front = RowFrontier.of(canvas, self.window, rows=p.shape[1])
        index = front.targets(0)[..., 0]
        y, final = noise.gumbel_max(p, index), front.active
        if self.adaptive:
            y, final, state = self._open(front, state, y, p, index, noise)
        canvas.write(index, y)
        canvas.settle(index, final)
        return state

    def _open(
        self, front: RowFrontier, state: State, y: Tensor, p: Tensor, index: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor, State]:
        """Test or draw the first token x [B] of the row being opened; the state is x, -1 for none, and its q [B, V]."""
        opening = front.active & (front.n == 0)
        tested = opening & (state[0] >= 0)[:, None]
        x, q = state[0].clamp(min=0)[:, None].expand_as(y), state[1][:, None].expand_as(p)
        kept = tested & (noise.uniform(index, ACCEPT) < Strict().alpha(x, q, p))
        other = noise.draw(Strict().residual(x, q, p), index, CORRECT)
        y = torch.where(kept, x, torch.where(tested, other, y))
        waits = opening & ~kept & ~front.top
        x = torch.where(waits, y, -1).amax(1)
        return y, front.active & ~waits, (x, (p * waits[..., None]).sum(1))
