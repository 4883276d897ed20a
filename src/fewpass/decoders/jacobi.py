"""Jacobi decoding: a window of drafts, verified in one forward pass."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import MOST, whole
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Host, Query, State, prepared
from fewpass.decoders.draft_init import Guess, uniform
from fewpass.decoders.proposals import Laws
from fewpass.decoders.rules import FixedPoint, Rule, Verdict


@dataclass(frozen=True)
class Jacobi(Decoder):
    """Ask about a whole window of guesses at once; commit those the rule verifies, plus one token.

    `window` counts drafts; 0 is autoregression. The state is the ring of laws that the guesses were drawn from, q.
    """

    window: int
    rule: Rule = FixedPoint()
    guess: Guess = uniform

    def __post_init__(self) -> None:
        whole("window", self.window, 0, MOST, of="drafts")

    def prepared(self, session: Host) -> Self:
        return replace(self, rule=prepared(self.rule, session))

    @property
    def margin(self) -> int:
        return self.window + 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        window = self.drafts(canvas)
        # A guess may look one row up from the end of the window.
        laws = Laws(p.new_zeros(len(p), window + 1 + canvas.grid.widest, p.shape[-1]))
        first = canvas.ahead(1, start=-1)
        laws.write(first, p)
        self._guess(canvas, laws, first, 0, noise)
        return (laws.ring,)

    def draft(self, canvas: Canvas, state: State) -> Query:
        index = canvas.ahead(self.drafts(canvas) + 1, start=-1)
        return Query(canvas.read(index), index)

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        y, kept = self.judge(canvas, state, p, canvas.ahead(p.shape[1]), p.shape[1] - 1, noise)
        return self.move(canvas, state, y, p, 1 + kept.long().cumprod(1).sum(1), noise)

    def judge(self, canvas: Canvas, state: State, p: Tensor, index: Tensor, W: int, noise: Noise) -> Verdict:
        """What the rule makes of the drafts at the first W of positions `index` [B, n], given the laws p [B, n, V]."""
        laws, here = Laws(*state), index[:, :W]
        if not W:  # nothing was guessed, so there is nothing to verify
            return Verdict(self.rule.draw(p, index, noise), torch.ones_like(here, dtype=torch.bool))
        return self.rule(canvas.read(here), laws.read(here), p, index, noise)

    def move(self, canvas: Canvas, state: State, y: Tensor, p: Tensor, n: Tensor, noise: Noise) -> State:
        """Put down y [B, W + 1], all of which may pass for draws from p, commit the first n [B] and guess again."""
        laws, index, before = Laws(*state), canvas.ahead(p.shape[1]), canvas.lengths
        canvas.write(index, y)
        laws.write(index, p)  # the next q
        canvas.commit(n)
        moved = max(now - then for now, then in zip(canvas.lengths, before, strict=True))
        self._guess(canvas, laws, index[:, -1:], p.shape[1] - moved, noise)
        return (laws.ring,)

    def drafts(self, canvas: Canvas) -> int:
        """The window, cut where even the image that is furthest behind has no more positions to draft.

        The last position is drafted like any other, so that it is verified alike whoever else is in the batch.
        """
        return min(self.window, canvas.open)

    def _guess(self, canvas: Canvas, laws: Laws, last: Tensor, held: int, noise: Noise) -> None:
        """Fill the window up behind `last` [B, 1], the newest position of each image that has a token.

        Every image still holds at least `held` guesses, so there is nothing to do for as many places.
        """
        window = self.drafts(canvas)
        if held >= window:
            return
        ahead = canvas.ahead(window - held, start=held)
        q = canvas.grid.force(ahead, self.guess(canvas, laws, ahead, last))
        x = self.rule.draw(q, ahead, noise)
        old = ahead <= last
        canvas.write(ahead, torch.where(old, canvas.read(ahead), x))
        laws.write(ahead, torch.where(old[..., None], laws.read(ahead), q))
