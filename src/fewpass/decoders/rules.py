"""Acceptance rules: drafts x, drawn from q, become tokens y that are distributed as draws from p.

Shapes: x [B, W], q [B, W, V], p [B, n, V], index [B, n]; n > W, as positions behind the window have no draft. The
target distribution p_i is conditioned on the drafts before position i, so y_i is final once all of them are accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from fewpass.core.checks import real
from fewpass.core.noise import ACCEPT, CORRECT, FRESH, Noise
from fewpass.core.protocol import SessionInfo, bind_part


class Verdict(NamedTuple):
    """The next iterate, and the drafts that are accepted. All of y is distributed as draws from p, the next q."""

    y: Tensor  # [B, n]
    kept: Tensor  # [B, W] bool


class Rule(Protocol):
    """Verifies a window, and draws the drafts of new positions."""

    def draw(self, p: Tensor, index: Tensor, noise: Noise) -> Tensor:
        """One token from each distribution: [B, n, V] -> [B, n]."""

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        """Verify the drafts, and replace the rejected ones."""


@dataclass(frozen=True)
class FixedPoint:
    """Accept drafts that equal y_i = argmax_v p_i(v) / e_i(v) under fixed noise e. Lossless.

    Jacobi decoding, arXiv 2002.03629 and 2002.09928. The sequential sample under the same noise is the only fixed
    point, so the tokens are those of autoregression.
    """

    def draw(self, p: Tensor, index: Tensor, noise: Noise) -> Tensor:
        return noise.gumbel_max(p, index)

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        y = noise.gumbel_max(p, index)
        return Verdict(y, y[:, : x.shape[1]] == x)


def mass(p: Tensor, x: Tensor) -> Tensor:
    """p(x): [B, W, V], [B, W] -> [B, W]."""
    return p.gather(-1, x[..., None])[..., 0]


NEXT_TO_NOTHING = 1e-30  # a weight that is lost in the rounding of any other


class Test(Protocol):
    """The acceptance test of a single draft."""

    def alpha(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        """Accept x with probability min(1, alpha): [B, W]."""

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        """The distribution of the token in place of a rejected draft, up to a factor: [B, W, V]."""


@dataclass(frozen=True)
class Strict:
    """alpha = p(x) / q(x), residual (p - q)+. arXiv 2211.17192, algorithm 1; SJD, arXiv 2410.01699. Lossless."""

    def alpha(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return mass(p, x) / mass(q, x)

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        # Where p = q up to rounding the residual is empty, and the token is a draw from p.
        return (p - q).relu_().add_(p, alpha=NEXT_TO_NOTHING)


class Outcome(NamedTuple):
    """The drafts of a window after verification; those neither kept nor corrected are drawn anew from p."""

    stays: Tensor  # [B, W] the draft is kept
    corrected: Tensor  # [B, W] it is replaced by a draw from the residual


# The outcome of all drafts, those behind the first rejection included, from (kept, verified, alpha), each [B, W];
# `verified` is true up to and including the first rejection.

Redraft = Callable[[Tensor, Tensor, Tensor], Outcome]


def resample(kept: Tensor, verified: Tensor, alpha: Tensor) -> Outcome:
    """Draw anew from p behind the first rejection. SJD, arXiv 2410.01699, algorithm 1. Lossless."""
    return Outcome(kept & verified, ~kept & verified)


def couple(kept: Tensor, verified: Tensor, alpha: Tensor) -> Outcome:
    """Keep drafts as often as p and q allow, everywhere: a maximal coupling. MC-SJD, arXiv 2510.24211. Lossless."""
    return Outcome(kept, ~kept)


@dataclass(frozen=True)
class Reuse:
    """Keep drafts whose alpha exceeds a threshold: SJD++, arXiv 2512.07503, equation 6. Lossy."""

    threshold: float

    def __post_init__(self) -> None:
        real("threshold", self.threshold, 0)

    def __call__(self, kept: Tensor, verified: Tensor, alpha: Tensor) -> Outcome:
        return Outcome(torch.where(verified, kept, alpha > self.threshold), ~kept & verified)


@dataclass(frozen=True)
class Speculative:
    """Accept x_i with probability min(1, alpha_i), else replace it; redraft behind the first rejection.

    `frozen` redrafts under fixed noise, so that drafts stay while their distribution does: the Gumbel coupling of
    arXiv 2510.24211. Acceptance is still decided by fresh random numbers.
    """

    test: Test = Strict()
    redraft: Redraft = resample
    frozen: bool = False

    def bind(self, info: SessionInfo) -> Self:
        return replace(self, test=bind_part(self.test, info))

    def draw(self, p: Tensor, index: Tensor, noise: Noise) -> Tensor:
        return noise.gumbel_max(p, index) if self.frozen else noise.draw(p, index, FRESH)

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
