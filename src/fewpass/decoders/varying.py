"""A window that is another one in every pass."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Host, Query, State, prepared
from fewpass.decoders.jacobi import Jacobi
from fewpass.decoders.ngram import NGrams
from fewpass.decoders.spec import with_option


class Policy(Protocol):
    """How many drafts the next pass is to ask about.

    A policy may go by the clock, by what passes before have committed, and by nothing else. What a draft is that has
    not been verified must not show in the window that it is verified in: the law of the images would change by it.
    `history` [B, k] float64 is what the policy remembers of each image, and goes with it.
    """

    @property
    def joins(self) -> bool:
        """May images be drawn beside others that are further on?"""

    def begin(self, images: int, device: torch.device) -> Tensor:
        """The history of images that have not begun."""

    def choose(self, history: Tensor) -> tuple[int, Tensor]:
        """The next window, chosen while the answers to the pass before are still unknown."""

    def start(self, history: Tensor) -> None:
        """A pass begins."""

    def learn(self, history: Tensor, window: int, won: Tensor) -> Tensor:
        """That pass, with so many drafts, is done: it committed `won` [B] tokens."""


@dataclass(frozen=True)
class Varying(Decoder):
    """`decoder` with the windows that `policy` chooses, at most its own. As lossless as `decoder`.

    Drafts are made up to the window that the next pass will ask about; a window that shrinks forgets the drafts behind
    its end without having looked at them.
    """

    decoder: NGrams | Jacobi
    policy: Policy
    _narrowed: dict[int, Decoder] = field(init=False, repr=False, compare=False, default_factory=dict)

    def prepared(self, session: Host) -> Self:
        return replace(self, decoder=self.decoder.prepared(session), policy=prepared(self.policy, session))

    @property
    def joins(self) -> bool:
        return self.policy.joins

    @property
    def margin(self) -> int:
        return self.decoder.margin

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        W, history = self.policy.choose(self.policy.begin(len(p), p.device))
        return *self.decoder.begin(canvas, p, noise), history, torch.full_like(canvas.length, W)

    def draft(self, canvas: Canvas, state: State) -> Query:
        self.policy.start(state[-2])
        # Newcomers have drafts for any window: with the smallest there are enough for all.
        return self._within(int(state[-1].min())).draft(canvas, state[:-2])

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        before = canvas.length
        W, history = self.policy.choose(state[-2])
        drawn = self._within(W).verify(canvas, state[:-2], p, noise)
        history = self.policy.learn(history, p.shape[1] - 1, canvas.length - before)
        return *drawn, history, torch.full_like(canvas.length, W)

    def _within(self, window: int) -> Decoder:
        if window not in self._narrowed:
            self._narrowed[window] = replace(self.decoder, window=window)
        return self._narrowed[window]

    def again(self, windows: Sequence[int]) -> Decoder:
        if isinstance(self.policy, Schedule):
            return self
        spelling = self.spelling and with_option(self.spelling, "windows", tuple(windows))
        return replace(self, policy=Schedule(tuple(windows)), spelling=spelling)


@dataclass(frozen=True)
class Schedule:
    """The windows of an earlier drawing, to draw the same image once more; the last one for all passes to come."""

    windows: tuple[int, ...]

    joins = False  # every image has passes of its own

    def begin(self, images: int, device: torch.device) -> Tensor:
        return torch.zeros(images, 1, dtype=torch.float64, device=device)

    def choose(self, history: Tensor) -> tuple[int, Tensor]:
        passes = int(history[0, 0])
        return self.windows[min(passes, len(self.windows) - 1)], history + 1

    def start(self, history: Tensor) -> None:
        pass

    def learn(self, history: Tensor, window: int, won: Tensor) -> Tensor:
        return history
