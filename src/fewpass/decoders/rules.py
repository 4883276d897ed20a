"""How guesses x, drawn from q, become tokens y that may pass for draws from p.

Shapes: x [B, W], q [B, W, V], p [B, n, V], index [B, n], n > W: behind the window nothing was guessed. The law p_i is
conditioned on the guesses before position i, so y_i is final once every guess before it was kept.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from fewpass.core.checks import real
from fewpass.core.noise import ACCEPT, CORRECT, FRESH, Noise
from fewpass.core.protocol import Host, prepared


class Verdict(NamedTuple):
    """What a rule makes of a window: the next iterate y [B, n], and which guesses stand: kept [B, W].

    Everything in y may pass for a draw from p, so p is the label of the next pass.
    """

    y: Tensor
    kept: Tensor


class Rule(Protocol):
    """Verifies a window, and draws what is guessed when it moves on."""

    def draw(self, p: Tensor, index: Tensor, noise: Noise) -> Tensor:
        """A new token from each law: [B, n, V] -> [B, n]."""

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        """Verify the guesses and redraw what may not stay."""


@dataclass(frozen=True)
class FixedPoint:
    """Jacobi decoding of y_i = argmax_v p_i(v) / e_i(v), the noise e frozen. arXiv 2002.03629, 2002.09928. Lossless.

    The sequential sample under the same noise is the only fixed point, so it is drawn to the letter.
    """

    def draw(self, p: Tensor, index: Tensor, noise: Noise) -> Tensor:
        return noise.race(p, index)

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        y = noise.race(p, index)
        return Verdict(y, y[:, : x.shape[1]] == x)


def mass(p: Tensor, x: Tensor) -> Tensor:
    """p(x): [B, W, V], [B, W] -> [B, W]."""
    return p.gather(-1, x[..., None])[..., 0]


NEXT_TO_NOTHING = 1e-30  # a weight that is lost in the rounding of any other


class Test(Protocol):
    """When does a guess stand?"""

    def alpha(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        """x stands with probability min(1, alpha): [B, W]."""

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        """The law of what replaces it, up to a factor: [B, W, V]."""


@dataclass(frozen=True)
class Strict:
    """alpha = p(x) / q(x), residual (p - q)+. arXiv 2211.17192, algorithm 1; SJD, arXiv 2410.01699. Lossless."""

    def alpha(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return mass(p, x) / mass(q, x)

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        # p = q up to rounding: nothing is left over, and what replaces x is simply a draw from p.
        return (p - q).relu_().add_(p, alpha=NEXT_TO_NOTHING)


class Outcome(NamedTuple):
    """What becomes of each guess, by a redraft."""

    stays: Tensor  # [B, W] the guess is kept
    corrected: Tensor  # [B, W] it is replaced by a draw from the residual; the others are drawn anew from p


# What becomes of the guesses, those behind the first rejection included, where nothing was verified?
# (kept, verified, alpha), each [B, W], `verified` up to and including the first rejection.

Redraft = Callable[[Tensor, Tensor, Tensor], Outcome]


def resample(kept: Tensor, verified: Tensor, alpha: Tensor) -> Outcome:
    """Draw anew from p behind the rejection. SJD, arXiv 2410.01699, algorithm 1. Lossless."""
    return Outcome(kept & verified, ~kept & verified)


def couple(kept: Tensor, verified: Tensor, alpha: Tensor) -> Outcome:
    """Stay as often as p and q allow, everywhere: a maximal coupling. MC-SJD, arXiv 2510.24211. Lossless."""
    return Outcome(kept, ~kept)


@dataclass(frozen=True)
class Reuse:
    """Stay where alpha exceeds a threshold: SJD++, arXiv 2512.07503, equation 6. Lossy: what stays is no draw."""

    threshold: float

    def __post_init__(self) -> None:
        real("threshold", self.threshold, 0)

    def __call__(self, kept: Tensor, verified: Tensor, alpha: Tensor) -> Outcome:
        return Outcome(torch.where(verified, kept, alpha > self.threshold), ~kept & verified)


@dataclass(frozen=True)
class Speculative:
    """Keep x_i with probability min(1, alpha_i), else replace it; redraft behind the first rejection.

    `frozen` redrafts under noise tied to the position, so that drafts stay while their law does: the Gumbel
    coupling of arXiv 2510.24211. Whether a guess is kept is still decided by fresh numbers.
    """

    test: Test = Strict()
    redraft: Redraft = resample
    frozen: bool = False

    def prepared(self, session: Host) -> Self:
        return replace(self, test=prepared(self.test, session))

    def draw(self, p: Tensor, index: Tensor, noise: Noise) -> Tensor:
        return noise.race(p, index) if self.frozen else noise.draw(p, index, FRESH)

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        W = x.shape[1]
        here, p_here = index[:, :W], p[:, :W]
        alpha = self.test.alpha(x, q, p_here)
        kept = noise.uniform(here, ACCEPT) < alpha
        verified = (~kept).cumsum(1) <= (~kept).int()
        stays, corrected = self.redraft(kept, verified, alpha)
        fresh, other = self.draw(p, index, noise), noise.draw(self.test.residual(x, q, p_here), here, CORRECT)
        y = torch.where(stays, x, torch.where(corrected, other, fresh[:, :W]))
        return Verdict(torch.cat([y, fresh[:, W:]], 1), kept)
