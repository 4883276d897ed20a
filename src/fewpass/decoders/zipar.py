"""ZipAR: every row is drawn token by token, but does not wait for the whole of the row above."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import MOST, whole
from fewpass.core.noise import ACCEPT, CORRECT, Noise
from fewpass.core.protocol import Decoder, Host, Query, State
from fewpass.decoders.row_frontier import Front, check_rows
from fewpass.decoders.rules import Strict


@dataclass(frozen=True)
class Wavefront(Decoder):
    """A row is opened when the row above has `window` tokens, or all. arXiv 2412.04062. Lossy.

    Every pass adds one token to each open row, drawn under the noise of autoregression, and each of them is final. A
    window of a whole row is autoregression.

    With `adaptive`, `window` is the least head start. The first token of a row is then drawn, tested in the next pass
    against its law given one more token of the row above, and drawn again until it stands or that row is finished.
    """

    window: int
    adaptive: bool = False

    def __post_init__(self) -> None:
        whole("window", self.window, 1, MOST, of="tokens")

    def prepared(self, session: Host) -> Self:
        check_rows(session)
        return self

    @property
    def margin(self) -> int:
        return 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        nothing = torch.full_like(canvas.length, -1)
        return (nothing, torch.zeros_like(p[:, 0])) if self.adaptive else ()

    def draft(self, canvas: Canvas, state: State) -> Query:
        return Front.of(canvas, self.window).ask(canvas, 0)

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        p = p[:, 1:]  # the first answer is about a row that is open
        front = Front.of(canvas, self.window, rows=p.shape[1])
        index = front.targets(0)[..., 0]
        y, final = noise.race(p, index), front.active
        if self.adaptive:
            y, final, state = self._open(front, state, y, p, index, noise)
        canvas.write(index, y)
        canvas.settle(index, final)
        return state

    def _open(
        self, front: Front, state: State, y: Tensor, p: Tensor, index: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor, State]:
        """The state is the first token x [B] of the row that is being opened, -1 for none, and its law q [B, V]."""
        opening = front.active & (front.n == 0)
        tested = opening & (state[0] >= 0)[:, None]
        x, q = state[0].clamp(min=0)[:, None].expand_as(y), state[1][:, None].expand_as(p)
        kept = tested & (noise.uniform(index, ACCEPT) < Strict().alpha(x, q, p))
        other = noise.draw(Strict().residual(x, q, p), index, CORRECT)
        y = torch.where(kept, x, torch.where(tested, other, y))
        waits = opening & ~kept & ~front.top
        x = torch.where(waits, y, -1).amax(1)
        return y, front.active & ~waits, (x, (p * waits[..., None]).sum(1))
