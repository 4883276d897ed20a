"""Acceptance rules: drafts x, drawn from q, become tokens y that are distributed as draws from p.

Shapes: x [B, W], q [B, W, V], p [B, n, V], index [B, n]; n > W, as positions behind the window have no draft. The
target distribution p_i is conditioned on the drafts before position i, so y_i is final once all of them are accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import torch
import torch.nn.functional as F
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


@dataclass(frozen=True)
class Block:
    """Accept the longest prefix that passes its test: arXiv 2403.10444, algorithm 2. Lossless.

    b_0 = 1 and b_i = min(1, b_{i-1} p_i(x_i) / q_i(x_i)). No lossless rule accepts more drafts of a block on average.
    Acceptance of a draft depends on later drafts, so every rejected one is drawn anew: drafts that stay, coupled or
    reused, would be biased.
    """

    end: int | None = None  # the size of the image; drafts past it are no part of the block

    def bind(self, info: SessionInfo) -> Self:
        return replace(self, end=info.grid.size)

    def draw(self, p: Tensor, index: Tensor, noise: Noise) -> Tensor:
        return noise.draw(p, index, FRESH)

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        assert self.end is not None
        W = x.shape[1]
        here, after, p_here = index[:, :W], index[:, 1 : W + 1], p[:, :W]
        i = torch.arange(W, device=x.device)  # slot i holds x_{i+1}
        b = _prefix_masses(mass(p_here, x) / mass(q, x))
        other = (b[:, :-1, None].to(p.dtype) * p_here - q).relu()  # (b_i p_{i+1} - q_{i+1})+
        R = other.sum(-1).double()
        longer = R.roll(-1, 1) / (R.roll(-1, 1) + 1 - b[:, 1:])  # nan where p = q and b = 1
        h = torch.where((i == W - 1) | (after >= self.end), b[:, 1:], longer.nan_to_num(1.0))
        stands = (noise.uniform(here, ACCEPT) <= h) & (here < self.end)
        tau = F.pad(stands * (i + 1), (1, 0)).amax(1, keepdim=True)
        fresh = self.draw(p, index, noise)
        next_ = noise.draw(torch.where(R[..., None] > 0, other, p_here), here, CORRECT)
        y = torch.where(i < tau, x, torch.where(i == tau, next_, fresh[:, :W]))
        return Verdict(torch.cat([y, fresh[:, W:]], 1), i < tau)


def _prefix_masses(r: Tensor) -> Tensor:
    """b_i = min(1, b_{i-1} r_i) for all i at once, by cumulated logarithms: [B, W] -> [B, W + 1] from b_0 on."""
    S = r.double().log().cumsum(1)
    return F.pad((S - S.cummax(1).values.clamp(min=0)).exp(), (1, 0), value=1.0)
