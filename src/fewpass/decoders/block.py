"""Block verification: the accepted prefix is decided for all drafts of a window together."""

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.noise import ACCEPT, CORRECT, FRESH, Noise
from fewpass.core.protocol import SessionInfo
from fewpass.decoders.rules import Verdict, mass


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
