"""Relaxed acceptance tests for `Speculative`: they accept more drafts than SJD's. Lossy.

A draft with p(x) = 0 is never accepted, so codes that top-k, top-p or the layout exclude are not drawn.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from fewpass.core.checks import MOST, real, whole
from fewpass.core.protocol import SessionInfo
from fewpass.decoders.rules import Strict, mass


@dataclass(frozen=True)
class Grouped(Strict):
    """Compare the mass of a group of codes around x: GSD, arXiv 2508.07747. Lossy; lossless at group=0.

    The group of x are the `group` // 2 codes on either side of it in the order of p, without those whose probability
    differs by `gap` or more, or whose embedding has a squared distance of `distance` or more. alpha = p(group) /
    q(group); the residual is that of a single token, as in the authors' release.
    """

    group: int
    gap: float
    distance: float
    embed: Callable[[Tensor], Tensor] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        whole("group", self.group, 0, MOST, of="codes")
        real("gap", self.gap, 0)
        real("distance", self.distance, 0)

    def bind(self, info: SessionInfo) -> Self:
        if self.distance == math.inf or self.group < 2:
            return self
        if info.codebook is None:
            raise ValueError(
                f"distance={self.distance} needs the codebook of the model, and this one has none;"
                " distance=inf does without"
            )
        return replace(self, embed=info.codebook.embed)

    def alpha(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        C, near = self._group(x, p)
        p_C = mass(p, x) + (p.gather(-1, C) * near).sum(-1)
        q_C = mass(q, x) + (q.gather(-1, C) * near).sum(-1)
        return torch.where(mass(p, x) > 0, p_C / q_C, 0.0)

    def _group(self, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Candidate codes [B, W, G], and a mask of those in the group of x."""
        p_x, half = mass(p, x)[..., None], min(self.group // 2, p.shape[-1])
        lower = p.masked_fill(p > p_x, -1.0).scatter(-1, x[..., None], -1.0)
        below = lower.topk(half)
        above = p.masked_fill(p <= p_x, torch.inf).topk(half, largest=False)
        C, p_C = torch.cat([below.indices, above.indices], -1), torch.cat([below.values, above.values], -1)
        near = (p_C > 0) & ((p_C - p_x).abs() < self.gap)
        if self.embed is not None:
            apart = (self.embed(C) - self.embed(x)[..., None, :]).float().square().sum(-1)
            near &= apart < self.distance
        return C, near


@dataclass(frozen=True)
class Neighbours(Strict):
    """Add the mass of similar codes to p(x): LANTERN, arXiv 2410.03355, and LANTERN++, 2502.06352. Lossy.

    S_m is the mass under p of the m codes nearest to x. p'(x) = p(x) + S_m for the largest m <= `k` with
    S_m <= `delta` + (`factor` - 1) p(x): the first term is LANTERN's bound, the second that of LANTERN++. These m codes
    lose their mass; alpha and residual are those of p'. Lossless at delta=0, factor=1.
    """

    k: int
    delta: float = 0.0
    factor: float = 1.0
    nearest: Tensor | None = field(default=None, repr=False, compare=False)  # [codes, k]

    def __post_init__(self) -> None:
        whole("neighbours", self.k, 1, MOST, of="codes")
        if real("delta", self.delta, 0) > 1:
            raise ValueError(f"delta must lie in [0, 1], got {self.delta}")
        real("factor", self.factor, 1)

    def bind(self, info: SessionInfo) -> Self:
        if info.codebook is None:
            raise ValueError(f"neighbours={self.k} needs the codebook of the model, and this one has none")
        return replace(self, nearest=info.codebook.nearest(self.k))

    def alpha(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return super().alpha(x, q, self._pooled(x, p))

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return super().residual(x, q, self._pooled(x, p))

    def _pooled(self, x: Tensor, p: Tensor) -> Tensor:
        assert self.nearest is not None
        p_x = mass(p, x)[..., None]
        A = self.nearest[x.clamp(max=len(self.nearest) - 1)].long()  # a row end is certain, other codes have no mass
        p_A = p.gather(-1, A)
        lent = p_A * ((p_A.cumsum(-1) <= self.delta + (self.factor - 1) * p_x) & (p_x > 0))
        return p.scatter_add(-1, A, -lent).scatter_add(-1, x[..., None], lent.sum(-1, keepdim=True))


@dataclass(frozen=True)
class Annealed(Strict):
    """alpha = w_i p(x) / q(x), w_i = max(floor, delta exp(-nu i)) in slot i: COOL-SD, arXiv 2601.09212. Lossy.

    The residual is the paper's optimal one, (p - q min(1, alpha))+, which is SJD's where w_i >= 1. Lossless at
    delta=1, nu=0, floor <= 1, and in slots where w_i <= 1. The paper's factor exp(-mu) is part of `delta`.
    """

    delta: float
    nu: float
    floor: float

    def __post_init__(self) -> None:
        if real("delta", self.delta, 0, finite=True) == 0:
            raise ValueError(f"delta must be a number > 0, got {self.delta}")
        real("nu", self.nu, 0, finite=True)
        real("floor", self.floor, 0, finite=True)

    def alpha(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return self._weight(p)[..., 0] * mass(p, x) / mass(q, x)

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return super().residual(x, torch.minimum(q, self._weight(p) * p), p)

    def _weight(self, p: Tensor) -> Tensor:
        """[W, 1], in the dtype and place of `p`."""
        i = torch.arange(p.shape[1], device=p.device, dtype=p.dtype)
        return (self.delta * torch.exp(-self.nu * i)).clamp(min=self.floor)[:, None]
