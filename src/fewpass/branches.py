"""The shape of a tree of guesses."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Branches:
    """Those nodes of a complete tree that are not on its chain, level by level: [S] all.

    Node i of a level is the (i mod K)-th `candidate` below node i // K of the level above; node 0 is on the chain.
    `forks` is the last level at which the way to a node is on the chain, `line` [S, S] says which of the others are on
    that way, itself included. `answers` are, for the root and each level, where a pass answers with the laws behind the
    nodes: the chain, of W drafts, is asked about first.
    """

    level: Tensor
    candidate: Tensor
    forks: Tensor
    line: Tensor
    answers: list[Tensor]

    @classmethod
    def of(cls, K: int, levels: int, W: int, device: torch.device) -> "Branches":
        beside = [K**i - 1 for i in range(levels + 1)]
        level = torch.cat([torch.full((count,), i, device=device) for i, count in enumerate(beside)])
        node = torch.cat([torch.arange(1, count + 1, device=device) for count in beside])
        up = level[:, None] - level
        line = (up >= 0) & (node[:, None] // K ** up.clamp(min=0) == node)
        digits = (node[:, None] >= K ** torch.arange(levels, device=device)).sum(1)  # to base K
        answers, end = [], W + 1
        for i, count in enumerate(beside):
            answers.append(torch.tensor([i, *range(end, end + count)], device=device))
            end += count
        return cls(level, node % K, level - digits, line, answers)
