"""Which tokens to ask the model about, and what to make of its answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Self

import torch
from torch import Tensor

from fewpass.canvas import Canvas
from fewpass.checks import MOST, whole
from fewpass.guess import Guess, uniform
from fewpass.laws import Laws
from fewpass.needs import Host, prepared
from fewpass.noise import Noise
from fewpass.rules import FixedPoint, Rule, Verdict


@dataclass(frozen=True, eq=False)
class Query:
    """What a decoder asks: the law of the token that follows each of these.

    `tokens` [B, n] are fed at the image positions `index` [B, n]; answer j is the law of position index_j + 1,
    given the tokens in the slots up to index_j. Positions past the image are allowed; their answers mean nothing.

    Trees and two-dimensional windows say more. `sees` [B, n, M] says which of the slots 0..M-1 the token at j may see,
    itself included; by default all that were written, up to its own. `slot` [B, n] is where each token is kept, by
    default its position; slots past the window, as many past the image as `sees` speaks of, hold what competes for one.
    """

    tokens: Tensor
    index: Tensor
    slot: Tensor | None = None
    sees: Tensor | None = None


State = tuple[Tensor, ...]  # images first, so that the loop may select and join them


@dataclass(frozen=True)
class Decoder(ABC):
    """A way to draw: a value, with no state of its own. What it remembers between passes is its `State`."""

    spelling: str = field(default="", kw_only=True, compare=False)  # how a recipe was called, to call it again
    lossless: bool | None = field(default=None, kw_only=True, compare=False)  # as its recipe says; None: nobody has

    def __str__(self) -> str:
        return self.spelling or repr(self)

    def __call__(
        self,
        model: Any,
        input_ids: Tensor,
        *,
        seed: int | Sequence[int] | None = None,
        on_step: Callable[[Canvas], object] | None = None,
        width: int | None = None,
        height: int | None = None,
        image_sizes: Any = None,
        **prepared: Any,
    ) -> Tensor:
        """Draw for transformers: `model.generate(**inputs, custom_generate=decoder)`. See `fewpass.generate`."""
        named = {"seed": seed, "on_step": on_step, "width": width, "height": height, "image_sizes": image_sizes}
        return import_module("fewpass.bridge").custom_generate(self, model, input_ids, **named, **prepared)

    def prepared(self, session: Host) -> Self:
        """This decoder, with all that it needs to know of the model.

        Raises ValueError naming what the session cannot offer.
        """
        return self

    @property
    def joins(self) -> bool:
        """May images be drawn beside others that are further on?"""
        return True

    def again(self, windows: Sequence[int]) -> "Decoder":
        """The decoder that draws an image once more whose passes asked about so many drafts: this one, as a rule."""
        return self

    @property
    @abstractmethod
    def margin(self) -> int:
        """Positions past the image that the canvas must have room for."""

    @abstractmethod
    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        """Guess ahead of the first token, which was drawn from p [B, 1, V]."""

    @abstractmethod
    def draft(self, canvas: Canvas, state: State) -> Query:
        """What to ask in this pass."""

    @abstractmethod
    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        """Commit what the answers p [B, n, V] confirm, and guess again."""


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
