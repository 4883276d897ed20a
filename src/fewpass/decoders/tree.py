"""SJD-PAC: several candidates for each of the next few positions, and a chain of drafts behind them."""

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import MOST, whole
from fewpass.core.noise import ACCEPT, CORRECT, FRESH, Noise
from fewpass.core.protocol import Decoder, Query, SessionInfo, State
from fewpass.decoders.jacobi import Jacobi
from fewpass.decoders.proposals import Proposals
from fewpass.decoders.rules import Strict, mass


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


LANE = 1 << 32  # the k-th candidate at a position has the random numbers of the position k lanes further


@dataclass(frozen=True)
class Tree(Decoder):
    """Candidates x_0 ... x_{K-1} for each of the next `depth` - 1 positions, whatever is before them. Lossless.

    SJD-PAC, arXiv 2603.18599. x_0 is the draft of `chain`, which keeps its drafts by maximal coupling ("adaptive
    continuation") and goes on behind the tree. The others are drawn from the same law q without replacement; there are
    fewer where q is that narrow. The authors' release draws them from the residual instead and tests them as if they
    came from q, which is not exact; it also discards the law behind the last draft, which here gives one token more.

    Branches off the chain are kept in slots past the image. When one wins, its tokens are fed once more in the next
    pass, at their positions: that takes `depth` - 1 more inputs, but no cache that can move what it holds.
    """

    chain: Jacobi
    candidates: int
    depth: int

    def __post_init__(self) -> None:
        whole("candidates", self.candidates, 1, MOST)
        whole("depth", self.depth, 1, MOST, of="levels")
        if self.candidates**self.levels > MOST:
            raise ValueError(
                f"a tree must have at most {MOST} branches, got candidates={self.candidates}, depth={self.depth}"
            )

    def bind(self, info: SessionInfo) -> Self:
        return replace(self, chain=self.chain.bind(info))

    @property
    def margin(self) -> int:
        return self.chain.margin

    @property
    def levels(self) -> int:
        """How many positions have several candidates."""
        return min(self.depth - 1, self.chain.window)

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        return self._widen(canvas, self.chain.begin(canvas, p, noise), noise)

    def draft(self, canvas: Canvas, state: State) -> Query:
        size, W, tree = canvas.grid.size, self.chain.drafts(canvas), self._branches(canvas)
        index = canvas.ahead(self.levels + 1 + W, start=-self.levels - 1).clamp(min=0)
        beside = canvas.length[:, None] + tree.level - 1
        x = self._candidates(canvas, state)[:, tree.level - 1, tree.candidate].relu()
        spare = torch.arange(size + 1, size + 1 + len(tree.level), device=index.device).expand_as(beside)
        reach = torch.cat([index.clamp(max=size) + 1, canvas.length[:, None] + tree.forks], 1)
        own = F.pad(tree.line, (size + 1, 0, index.shape[1], 0))
        return Query(
            tokens=torch.cat([canvas.read(index), x], 1),
            index=torch.cat([index, beside], 1),
            slot=torch.cat([index.clamp(max=size), spare], 1),
            sees=(torch.arange(own.shape[1], device=index.device) < reach[..., None]) | own,
        )

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        p = p[:, self.levels :]  # the first answers are about tokens that are fed once more
        chain = p[:, : self.chain.drafts(canvas) + 1]
        W = chain.shape[1] - 1
        y, kept = self.chain.judge(canvas, state[:1], chain, canvas.ahead(W + 1), W, noise)
        y, n = self._walk(canvas, state, y, kept, p, noise)
        return self._widen(canvas, self.chain.move(canvas, state[:1], y, chain, n, noise), noise)

    def _walk(
        self, canvas: Canvas, state: State, y: Tensor, kept: Tensor, p: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Down the tree as far as candidates stand, then along the chain if that is where it led: y, tokens gained."""
        *inner, leaves = self._branches(canvas).answers
        K, L, index = self.candidates, len(inner), canvas.ahead(y.shape[1])
        x, q = self._candidates(canvas, state), Proposals(state[0]).read(index)
        images = torch.arange(len(y), device=y.device)
        node, n = torch.zeros_like(images), torch.ones_like(images)
        stands = n > 0
        for i, laws in enumerate(inner):
            p_i = p[images, laws[node]][:, None]  # the law of the position, given the way down to it
            token, k = _choose(x[:, i], q[:, i, None], p_i, index[:, i, None], noise)
            y[:, i] = torch.where(stands, token, y[:, i])
            stands, node = stands & (k < K), node * K + k.clamp(max=K - 1)
            n += stands
        aside = stands & (node > 0)
        last = noise.draw(p[images, leaves[node]][:, None], index[:, L, None], FRESH)[:, 0]
        y[:, L] = torch.where(aside, last, y[:, L])
        return y, n + (stands & ~aside) * kept[:, L:].long().cumprod(1).sum(1)

    def _branches(self, canvas: Canvas) -> Branches:
        W = self.chain.drafts(canvas)
        return Branches.of(self.candidates, min(self.levels, W), W, canvas.tokens.device)

    def _candidates(self, canvas: Canvas, state: State) -> Tensor:
        """x [B, levels, K], -1 where there are fewer."""
        return torch.cat([canvas.read(canvas.ahead(self.levels))[..., None], state[1]], -1)

    def _widen(self, canvas: Canvas, state: State, noise: Noise) -> State:
        """Add all candidates but the first, from the laws of the drafts, without replacement: [B, levels, K - 1]."""
        index = canvas.ahead(self.levels)
        q, x, others = Proposals(*state).read(index), canvas.read(index), []
        for k in range(1, self.candidates):
            q = q.scatter(-1, x.relu()[..., None], 0.0)
            x = torch.where(q.sum(-1) > 0, noise.draw(q, index + k * LANE, FRESH), -1)
            others.append(x)
        return (*state, torch.stack(others, -1) if others else index[..., None][..., :0])


def _choose(x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """The first of the candidates x [B, K] that stands and its number; or a token from what they leave of p, and K.

    Recursive rejection: x_k is tested as a draw from q against p; after it, q is what it was without x_k, and p is
    (p - q)+, both made to sum to one. q, p [B, 1, V]; index [B, 1].
    """
    K = x.shape[1]
    chosen = torch.full_like(index, K)
    for k in range(K):
        if k:
            q, p = q / q.sum(-1, keepdim=True), p / p.sum(-1, keepdim=True)
        there, x_k = x[:, k, None] >= 0, x[:, k, None].relu()
        stands = noise.uniform(index + k * LANE, ACCEPT) < mass(p, x_k) / mass(q, x_k)
        chosen = torch.where((chosen == K) & there & stands, k, chosen)
        p = torch.where(there[..., None], Strict().residual(x_k, q, p), p)
        q = q.scatter(-1, x_k[..., None], 0.0)
    other = noise.draw(p, index, CORRECT)
    token = torch.where(chosen < K, x.gather(1, chosen.clamp(max=K - 1)), other)
    return token[:, 0], chosen[:, 0]
