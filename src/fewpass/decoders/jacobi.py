"""Jacobi decoding: a window of drafts, verified in one forward pass."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import MOST, whole
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Query, SessionInfo, State, bind_part
from fewpass.decoders.draft_init import DraftInit, Proposals, uniform
from fewpass.decoders.rules import FixedPoint, Rule, Verdict


@dataclass(frozen=True)
class Jacobi(Decoder):
    """Verify a window of drafts in one pass; commit the drafts that the rule accepts, and one token more.

    `window` counts drafts; 0 is autoregression. `guess` is the draft initialisation. The state is the ring of the
    distributions q that the drafts were drawn from.
    """

    window: int
    rule: Rule = FixedPoint()
    guess: DraftInit = uniform

    def __post_init__(self) -> None:
        whole("window", self.window, 0, MOST, of="drafts")

    def bind(self, info: SessionInfo) -> Self:
        return replace(self, rule=bind_part(self.rule, info))

    @property
    def margin(self) -> int:
        return self.window + 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        window = self.drafts(canvas)
        # Draft initialisation reads one row up from the end of the window.
        proposals = Proposals(p.new_zeros(len(p), window + 1 + canvas.grid.widest, p.shape[-1]))
        first = canvas.ahead(1, start=-1)
        proposals.write(first, p)
        self._fill(canvas, proposals, first, 0, noise)
        return (proposals.ring,)

    def draft(self, canvas: Canvas, state: State) -> Query:
        index = canvas.ahead(self.drafts(canvas) + 1, start=-1)
        return Query(canvas.read(index), index)

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        y, kept = self.judge(canvas, state, p, canvas.ahead(p.shape[1]), p.shape[1] - 1, noise)
        return self.move(canvas, state, y, p, 1 + kept.long().cumprod(1).sum(1), noise)

    def judge(self, canvas: Canvas, state: State, p: Tensor, index: Tensor, W: int, noise: Noise) -> Verdict:
        """The rule's verdict on the drafts at the first W of the positions `index` [B, n], given p [B, n, V]."""
        proposals, here = Proposals(*state), index[:, :W]
        if not W:  # no drafts, nothing to verify
            return Verdict(self.rule.draw(p, index, noise), torch.ones_like(here, dtype=torch.bool))
        return self.rule(canvas.read(here), proposals.read(here), p, index, noise)

    def move(self, canvas: Canvas, state: State, y: Tensor, p: Tensor, n: Tensor, noise: Noise) -> State:
        """Write y [B, W + 1], distributed as draws from p; commit the first n [B] and fill the window up."""
        proposals, index, before = Proposals(*state), canvas.ahead(p.shape[1]), canvas.lengths
        canvas.write(index, y)
        proposals.write(index, p)  # the next q
        canvas.commit(n)
        moved = max(now - then for now, then in zip(canvas.lengths, before, strict=True))
        self._fill(canvas, proposals, index[:, -1:], p.shape[1] - moved, noise)
        return (proposals.ring,)

    def drafts(self, canvas: Canvas) -> int:
        """The window, cut to the open positions of the image that has the most.

        The last position is drafted like any other, so that it is verified alike in any batch.
        """
        return min(self.window, canvas.open)

    def _fill(self, canvas: Canvas, proposals: Proposals, last: Tensor, held: int, noise: Noise) -> None:
        """Draft the positions of the window behind `last` [B, 1], the newest position of each image with a token.

        Every image still holds at least `held` drafts.
        """
        window = self.drafts(canvas)
        if held >= window:
            return
        ahead = canvas.ahead(window - held, start=held)
        q = canvas.grid.force(ahead, self.guess(canvas, proposals, ahead, last))
        x = self.rule.draw(q, ahead, noise)
        old = ahead <= last
        canvas.write(ahead, torch.where(old, canvas.read(ahead), x))
        proposals.write(ahead, torch.where(old[..., None], proposals.read(ahead), q))
