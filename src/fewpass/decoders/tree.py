"""SJD-PAC: several candidates for each of the next few positions, and a chain of drafts behind them."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import whole
from fewpass.core.noise import ACCEPT, CORRECT, FRESH, Noise
from fewpass.core.protocol import Decoder, Query, SessionInfo, State, with_branches
from fewpass.decoders.draft_init import Proposals
from fewpass.decoders.jacobi import Jacobi
from fewpass.decoders.rules import Strict, mass

Path = tuple[int, ...]  # the number of the candidate at each level, from the root down


@dataclass(frozen=True, eq=False)
class Branches:
    """The nodes of a tree that are not on its chain, level by level: S nodes.

    Nodes 0 ... `levels` of the tree are the chain (the root and the first candidates), then come these.

    Attributes:
        level: Level of each node, [S], the root's children at 1.
        candidate: Number of its candidate, [S].
        forks: Last level at which the path to the node is on the chain, [S].
        line: Which of these nodes are on the path to each one, itself included, [S, S].
        child: Node below each node of the tree, by the number of the candidate, [levels + 1 + S, K]; -1 if the tree
            has no such node.
    """

    level: Tensor
    candidate: Tensor
    forks: Tensor
    line: Tensor
    child: Tensor

    @classmethod
    @lru_cache(maxsize=32)
    def of(cls, K: int, levels: int, nodes: int, device: torch.device) -> "Branches":
        """Build the complete tree of K candidates at each level, or its likeliest `nodes` nodes beside the chain."""
        paths = sorted(_likeliest(K, levels, nodes), key=lambda path: (len(path), path))
        number = {path: i for i, path in enumerate([*((0,) * i for i in range(levels + 1)), *paths])}
        S, above = len(paths), [{path[:i] for i in range(len(path) + 1)} for path in paths]
        return cls(
            level=torch.tensor([len(path) for path in paths], dtype=torch.long, device=device),
            candidate=torch.tensor([path[-1] for path in paths], dtype=torch.long, device=device),
            forks=torch.tensor([_zeros(path) for path in paths], dtype=torch.long, device=device),
            line=torch.tensor([p in up for up in above for p in paths], device=device).bool().view(S, S),
            child=torch.tensor([[number.get((*p, k), -1) for k in range(K)] for p in number], device=device),
        )


def _likeliest(K: int, levels: int, nodes: int) -> list[Path]:
    """Paths off the chain, as if candidate k were accepted with a probability in proportion to 1 / (k + 2)."""
    level: list[tuple[int, Path]] = [(1, ())]
    found: list[tuple[int, Path]] = []
    for _ in range(levels):  # a path is less likely than those it begins with, so each level may be cut
        level = sorted((weight * (k + 2), (*path, k)) for weight, path in level for k in range(K))[: nodes + 1]
        found += [ranked for ranked in level if any(ranked[1])]
    return [path for _, path in sorted(found)[:nodes]]


def _zeros(path: Path) -> int:
    return next(i for i, k in enumerate(path) if k)


NODES = 64  # of a tree beside its chain, as many as the inputs of a pass of the paper
LANE = 1 << 32  # the k-th candidate at a position has the random numbers of the position k lanes further


@dataclass(frozen=True)
class Tree(Decoder):
    """Candidates x_0 ... x_{K-1} for each of the next `depth` - 1 positions, the same in every branch. Lossless.

    SJD-PAC, arXiv 2603.18599. The paper's tree is complete: K^i nodes at level i, of which all but one lie beside the
    chain. A pass of the paper takes 64 inputs, the tree included. Here a pass takes `window` + `depth` positions
    and the nodes beside the chain, at most `nodes`; of a larger tree, the likeliest are kept. All K candidates are
    tested at every node, with its answer; an accepted candidate without a node of its own ends the pass. So fewer nodes
    are as exact as all.

    x_0 is the draft of `chain`, which keeps its drafts by maximal coupling ("adaptive continuation") and extends past
    the tree. The others are drawn from the same q without replacement; there are fewer where q is that narrow. The
    authors' release draws them from the residual instead and tests them as if they came from q, which is not exact; it
    also discards the answer behind the last draft, which here gives one token more.

    Branches off the chain are kept in slots past the image. When one is accepted, its tokens are fed once more in the
    next pass, at their positions: that takes `depth` - 1 more inputs, but no cache that can move its contents.
    """

    chain: Jacobi
    candidates: int
    depth: int
    nodes: int = NODES  # beside the chain, at most

    def __post_init__(self) -> None:
        whole("candidates", self.candidates, 1, NODES + 1)  # further ones have no node
        whole("depth", self.depth, 1, NODES + 1, of="levels")

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
        W, tree = self.chain.drafts(canvas), self._branches(canvas)
        index = canvas.ahead(self.levels + 1 + W, start=-self.levels - 1).clamp(min=0)
        x = self._candidates(canvas, state)[:, tree.level - 1, tree.candidate].relu()
        return with_branches(canvas, index, x, tree.level - 1, tree.forks, tree.line)

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
        """Walk down the tree while candidates are accepted, then along the chain if the walk ends on it.

        An accepted candidate without a node of its own ends the walk.

        Returns:
            y, and the number of tokens to commit, [B].
        """
        tree, index, K, L = self._branches(canvas), canvas.ahead(y.shape[1]), self.candidates, self._deepest(canvas)
        x, q = self._candidates(canvas, state), Proposals(state[0]).read(index)
        images, beyond = torch.arange(len(y), device=y.device), y.shape[1] - 1 - L

        def behind(node: Tensor) -> Tensor:  # the rest of the chain is fed before the branches
            return p[images, node + beyond * (node > L)][:, None]

        node, n = torch.zeros_like(images), torch.zeros_like(images)
        walks = n == 0
        for i in range(L):
            token, k = _choose(x[:, i], q[:, i, None], behind(node), index[:, i, None], noise)
            y[:, i] = torch.where(walks, token, y[:, i])
            n += walks
            below = tree.child[node, k.clamp(max=K - 1)]
            walks, node = walks & (k < K) & (below >= 0), below.relu()
        aside = walks & (node > L)
        last = noise.draw(behind(node), index[:, L, None], FRESH)[:, 0]
        y[:, L] = torch.where(aside, last, y[:, L])
        return y, n + walks + (walks & ~aside) * kept[:, L:].long().cumprod(1).sum(1)

    def _deepest(self, canvas: Canvas) -> int:
        """Levels of the tree in this pass, behind its root."""
        return min(self.levels, self.chain.drafts(canvas))

    def _branches(self, canvas: Canvas) -> Branches:
        return Branches.of(self.candidates, self._deepest(canvas), self.nodes, canvas.tokens.device)

    def _candidates(self, canvas: Canvas, state: State) -> Tensor:
        """Candidates x [B, levels, K], -1 where there are fewer."""
        return torch.cat([canvas.read(canvas.ahead(self.levels))[..., None], state[1]], -1)

    def _widen(self, canvas: Canvas, state: State, noise: Noise) -> State:
        """Add all candidates but the first, from q, without replacement: [B, levels, K - 1]."""
        index = canvas.ahead(self.levels)
        q, x, others = Proposals(*state).read(index), canvas.read(index), []
        for k in range(1, self.candidates):
            q = q.scatter(-1, x.relu()[..., None], 0.0)
            x = torch.where(q.sum(-1) > 0, noise.draw(q, index + k * LANE, FRESH), -1)
            others.append(x)
        return (*state, torch.stack(others, -1) if others else index[..., None][..., :0])


def _choose(x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """The first of the candidates x [B, K] that stands and its number; or a token from the residual of p, and K.

    Recursive rejection: x_k is tested as a draw from q against p; after it, q is the same without x_k, and p is
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
