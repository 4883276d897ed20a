"""Answers corrected for a left neighbour that has changed: least squares on the changes seen so far."""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from fewpass.decoders.proposals import Proposals

FLOOR = 1e-20  # smaller probabilities count as this one; changes from and to it are not learnt: top-k sets them to 0
RIDGE = 1.0  # penalty on the squares of M
BONUS = 8.0  # nats for the answer that followed the same neighbours at another position


@dataclass(frozen=True, eq=False)
class Correction:
    """The newest distribution at each position, and the effect of its left neighbour on it.

    A position that was answered behind a wrong draft a needs a draft behind the right token b. Its distribution is
    taken to be log p(v | b) = log p(v | a) + (f(b) - f(a)) M[:, v], where f are features of the codes. M minimises the
    squared error over all positions of the image that were answered twice, behind different tokens, plus `RIDGE` times
    its own squares.

    Attributes:
        log_p: Newest log-probabilities of the positions, as `Proposals`: [B, depth, V].
        left: The left neighbours that they follow, likewise: [B, depth, F] features.
        XX: Sum of d d' over the changes d = f(b) - f(a): [B, F, F].
        XY: Sum of d D' over the changes d and D = log p(. | b) - log p(. | a): [B, F, V].
    """

    log_p: Tensor
    left: Tensor
    XX: Tensor
    XY: Tensor

    @classmethod
    def blank(cls, B: int, depth: int, V: int, features: Tensor) -> Self:
        """The correction of images without answers; `features` is [V + 1, F]."""
        F = features.shape[1]
        new = features.new_zeros
        return cls(new(B, depth, V), new(B, depth, F), new(B, F, F), new(B, F, V))

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """All tensors, images first."""
        return self.log_p, self.left, self.XX, self.XY

    def learn(self, index: Tensor, p: Tensor, left: Tensor, known: Tensor) -> Self:
        """Add the answers p [B, n, V] at the positions `index` [B, n] behind tokens with features `left` [B, n, F].

        `known` [B, n] marks the positions that were answered before.
        """
        log_p, least = p.to(self.log_p.dtype).clamp(min=FLOOR).log(), math.log(FLOOR) + 1e-3
        held, features = Proposals(self.log_p), Proposals(self.left)
        before = held.read(index)
        d = (left - features.read(index)) * known[..., None]
        both = (torch.minimum(log_p, before) > least).to(log_p.dtype)
        D = (log_p - before) * both
        D -= both * (D.sum(-1, keepdim=True) / both.sum(-1, keepdim=True).clamp(min=1))  # a constant changes nothing
        held.write(index, log_p)
        features.write(index, left)
        return replace(self, XX=self.XX + d.mT @ d, XY=torch.baddbmm(self.XY, d.mT, D))

    def at(self, index: Tensor, e: Tensor, features: Tensor) -> "Corrected":
        """The corrected answers at the positions `index` [B, W] under their exponential noise, as `Proposals` e."""
        ridge = RIDGE * torch.eye(self.XX.shape[-1], dtype=self.XX.dtype, device=self.XX.device)
        return Corrected(
            Proposals(self.log_p).read(index) - Proposals(e).read(index).log(),
            Proposals(self.left).read(index),
            features,
            torch.linalg.inv(self.XX + ridge),
            self.XY,
        )


@dataclass(frozen=True, eq=False)
class Corrected:
    """Scores log p - log e [B, W, V] of Gumbel-max, and the parts of their corrections."""

    scores: Tensor
    left: Tensor  # features of the left neighbours that the scores follow, [B, W, F]
    features: Tensor  # of all tokens, [V + 1, F]
    inverse: Tensor  # M = inverse @ XY
    XY: Tensor

    def draft(self, i: int, left: Tensor, anywhere: Tensor) -> Tensor:
        """The likeliest tokens [B] at position i behind the tokens `left` [B].

        `anywhere` [B] are answers that followed the same neighbours at other positions, -1 for none.
        """
        change = (self.features[left] - self.left[:, i])[:, None] @ self.inverse
        scores = self.scores[:, i] + (change @ self.XY)[:, 0]
        bonus = torch.where(anywhere < 0, 0.0, BONUS).to(scores.dtype)
        return scores.scatter_add_(1, anywhere.clamp(min=0)[:, None], bonus[:, None]).argmax(-1)
