"""A chain of drafts, and beside its first positions what earlier passes thought would be there."""

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.canvas import Canvas
from fewpass.decoders import Decoder, Jacobi, Query, State
from fewpass.laws import Laws
from fewpass.needs import Host
from fewpass.noise import Noise


@dataclass(frozen=True)
class Recall(Decoder):
    """`chain`, and for each of the next `depth` positions the `width` codes most likely in all passes so far. Lossless.

    When a draft is rejected, the drafts behind it have been drawn next to the wrong token, pass after pass, and then
    only one token is won at a time. The newest law of such a position seldom knows the right code; the mean of its
    laws since it came into the window often does, for some pass had the right neighbours. So the likeliest codes by
    that mean are asked about too: at every position one that goes on, the spine, and others that end there.

    They are asked about as what might be drawn, not as drafts: if the chain breaks at its first position, what
    replaces the draft is drawn as ever, and only then is it looked up among the candidates. If it is the spine's, the
    law of the next position is known, and the same again. So they may be chosen in any way that does not look ahead.

    This decoder is the project's own; docs/research-log.md tells how it came about.
    """

    chain: Jacobi
    depth: int
    width: int

    def __post_init__(self) -> None:
        for name in ("depth", "width"):
            value = getattr(self, name)
            if value != int(value) or value < 1:
                raise ValueError(f"{name} must be a whole number >= 1, not {value}")
        if self.chain.window < 1:
            raise ValueError(f"window must be a whole number of drafts >= 1, not {self.chain.window}")

    def prepared(self, session: Host) -> Self:
        return replace(self, chain=self.chain.prepared(session))

    @property
    def margin(self) -> int:
        return self.chain.margin

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        (ring,) = self.chain.begin(canvas, p, noise)
        memory = ring.clone()
        return ring, memory, torch.zeros_like(canvas.length), self.candidates(canvas, memory)

    def draft(self, canvas: Canvas, state: State) -> Query:
        return self.ask(canvas, state, self.chain.drafts(canvas))

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        return self.settle(canvas, state, p, self.chain.drafts(canvas), noise)[0]

    def again(self, state: State) -> int:
        """How many of the newest tokens but the last are fed once more: as many as any image won beside the chain.

        Where looking would keep a device waiting, it is as many as it can have won.
        """
        won = state[2]
        return int(won.max()) if won.device.type == "cpu" else self.depth

    def candidates(self, canvas: Canvas, memory: Tensor) -> Tensor:
        """x [B, depth, width], the likeliest first. The first draft of the chain is none of them."""
        index = canvas.ahead(self.depth)
        past = Laws(memory).read(index)
        past[:, 0].scatter_(-1, canvas.read(index[:, :1]), 0.0)
        return past.topk(min(self.width, past.shape[-1])).indices

    def ask(self, canvas: Canvas, state: State, W: int) -> Query:
        """Ask about the first W >= 1 drafts of the chain, and then about the candidates."""
        size, x = canvas.grid.size, state[3][:, :W]
        # What was won beside the chain is fed once more, with the last token, for its own slots do not know it yet.
        index = canvas.ahead(self.again(state) + 1 + W, start=-self.again(state) - 1).clamp(min=0)
        level, node = _levels(x), torch.arange(x[0].numel(), device=x.device)
        slot = index.clamp(max=size)
        behind = slot[:, -1:] + 1 + node  # of no use to anybody yet, and near: the cache is read up to there
        reach = torch.cat([slot + 1, canvas.length[:, None].expand(-1, len(node))], 1)[..., None]
        own = ((level < level[:, None]) & (node % x.shape[2] == 0)) | (node == node[:, None])  # the spine, and itself
        own = F.pad(own, (0, 0, index.shape[1], 0)).expand(len(x), -1, -1)
        sees = torch.arange(size + 1 + len(node), device=x.device) < reach
        return Query(
            tokens=torch.cat([canvas.read(index), x.flatten(1)], 1),
            index=torch.cat([index, canvas.length[:, None] + level], 1),
            slot=torch.cat([slot, behind], 1),
            sees=sees.scatter_(2, behind[:, None].expand_as(own), own),
        )

    def settle(self, canvas: Canvas, state: State, p: Tensor, W: int, noise: Noise) -> tuple[State, Tensor]:
        """Verify those W drafts; and how many tokens [B] of each image are final by it."""
        ring, memory, _, x = state
        x, p, before = x[:, :W], p[:, self.again(state) :], canvas.length
        D, K = x.shape[1:]
        index = torch.cat([canvas.ahead(W + 1), before[:, None] + _levels(x) + 1], 1)
        y, kept = self.chain.judge(canvas, (ring,), p, index, W, noise)
        broken = ~kept[:, :1]  # at the first position: then what is beside the chain may help
        i = torch.arange(W + 1, device=p.device)
        answer = torch.where(broken & (i > 0) & (i <= D), W + 1 + (i - 1) * K, i)  # which one counts at each position
        found = y.gather(1, answer)[:, :D, None] == x
        m = found[..., 0].long().cumprod(1).sum(1, keepdim=True)  # how far the spine holds
        end = found.gather(1, m.clamp(max=D - 1)[..., None].expand(-1, -1, K))[:, 0].long()
        aside = broken & (m < D) & end.any(1, keepdim=True)
        answer = torch.where(aside & (i == m + 1), W + 1 + m * K + end.argmax(1, keepdim=True), answer)
        won = torch.where(broken, m + aside, 0)[:, 0]
        n = 1 + torch.where(broken[:, 0], won, kept.long().cumprod(1).sum(1))
        laws = Laws(p).read(answer)
        (ring,) = self.chain.move(canvas, (ring,), y.gather(1, answer), laws, n, noise)
        self._remember(canvas, Laws(memory), Laws(ring), before + W)
        return (ring, memory, won, self.candidates(canvas, memory)), n

    def _remember(self, canvas: Canvas, memory: Laws, laws: Laws, known: Tensor) -> None:
        """Add the newest laws to the sums of those before; positions from `known` [B] on have none before."""
        index = canvas.ahead(self.chain.drafts(canvas))
        new = laws.read(index)
        memory.write(index, torch.where((index < known[:, None])[..., None], memory.read(index) + new, new))


def _levels(x: Tensor) -> Tensor:
    """How far behind the first open position each of the candidates x [B, D, K] is: [D * K]."""
    return torch.arange(x.shape[1], device=x.device).repeat_interleave(x.shape[2])
