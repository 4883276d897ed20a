"""Answers corrected for a left neighbour that has changed: least squares on the changes seen so far."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor

from fewpass.decoders.draft_init import Proposals

RIDGE = 1.0  # penalty on the squares of M
DECAY = 0.7  # of the sums from pass to pass: the effect of a neighbour differs between the parts of an image
BONUS = 8.0  # nats for the answer that followed the same neighbours at another position


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers at the positions `index` [B, n]: log p - log e of Gumbel-max [B, n, V], and their neighbours."""

    index: Tensor
    scores: Tensor
    left: Tensor  # features of the left neighbours, [B, n, F]

    @classmethod
    def of(cls, index: Tensor, ratio: Tensor, left: Tensor) -> Self:
        """From p / e [B, n, V]."""
        return cls(index, ratio.to(left.dtype).log(), left)

    def part(self, start: int, end: int | None = None) -> "Answers":
        """The answers from number `start` on."""
        return Answers(self.index[:, start:end], self.scores[:, start:end], self.left[:, start:end])


class Correction(NamedTuple):
    """The newest distribution at each position, and the effect of its left neighbour on it.

    A position that was answered behind a wrong draft a needs a draft behind the right token b. Its distribution is
    taken to be log p(v | b) = log p(v | a) + (f(b) - f(a)) M[:, v], where f are features of the codes. M minimises the
    squared error over all positions of the image that were answered twice, behind different tokens, plus `RIDGE` times
    its own squares. The noise e of a position does not change, so scores log p - log e serve as well as log p.

    Attributes:
        scores: Newest scores of the positions, as `Proposals`: [B, depth, V].
        left: The left neighbours that they follow, likewise: [B, depth, F] features.
        XX: Sum of d d' over the changes d = f(b) - f(a): [B, F, F].
        XY: Sum of d D' over the changes d and D = log p(. | b) - log p(. | a): [B, F, V].
    """

    scores: Tensor
    left: Tensor
    XX: Tensor
    XY: Tensor

    @classmethod
    def blank(cls, B: int, depth: int, V: int, features: Tensor) -> Self:
        """The correction of images without answers; `features` is [V + 1, F]."""
        F = features.shape[1]
        new = features.new_zeros
        return cls(new(B, depth, V), new(B, depth, F), new(B, F, F), new(B, F, V))

    def hold(self, new: Answers) -> None:
        """Make these answers the newest of their positions."""
        Proposals(self.scores).write(new.index, new.scores)
        Proposals(self.left).write(new.index, new.left)

    def learn(self, new: Answers, known: Tensor, decay: float = 1.0) -> None:
        """Add the changes from the newest answers to these ones, where `known` [B, n] is true.

        Earlier changes count `decay` times as much as before.
        """
        d = (new.left - Proposals(self.left).read(new.index)) * known[..., None]
        # Infinite changes, from and to p = 0, are not learnt, nor NaN, which p may be past the image.
        D = Proposals(self.scores).read(new.index).sub_(new.scores).nan_to_num_(0.0, 0.0, 0.0).neg_()
        self.XX.baddbmm_(d.mT, d, beta=decay)
        self.XY.baddbmm_(d.mT, D, beta=decay)

    def at(self, index: Tensor, features: Tensor) -> "Corrected":
        """The corrected answers at the positions `index` [B, W]; `features` is [V + 1, F]."""
        return Corrected(self, index, features)


@dataclass(frozen=True, eq=False)
class Corrected:
    """The corrected answers at some positions."""

    correction: Correction
    index: Tensor  # [B, W]
    features: Tensor  # of all tokens, [V + 1, F]

    @cached_property
    def inverse(self) -> Tensor:
        """(XX + ridge)^-1 [B, F, F], for all calls of `scores`: as exact as needed, and much faster than `solve`."""
        XX = self.correction.XX
        return torch.linalg.inv(XX + RIDGE * torch.eye(XX.shape[-1], dtype=XX.dtype, device=XX.device))

    def scores(self, at: Tensor, left: Tensor, anywhere: Tensor) -> Tensor:
        """Scores [B, n, V] of the positions numbered `at` [n] behind the tokens `left` [B, n].

        The largest is of the likeliest token. `anywhere` [B, n] are answers that followed the same neighbours at other
        positions, -1 for none.
        """
        index = self.index[:, at]
        change = (self.features[left] - Proposals(self.correction.left).read(index)) @ self.inverse
        scores = Proposals(self.correction.scores).read(index).baddbmm_(change, self.correction.XY)
        bonus = torch.where(anywhere < 0, 0.0, BONUS).to(scores.dtype)
        return scores.scatter_add_(2, anywhere.clamp(min=0)[..., None], bonus[..., None])
