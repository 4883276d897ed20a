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

    @property
    def behind(self) -> int:
        """How many of the newest tokens may not be in their slots yet, or were put there in wrong company."""
        return self.depth + 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        (ring,) = self.chain.begin(canvas, p, noise)
        return ring, ring.clone()

    def draft(self, canvas: Canvas, state: State) -> Query:
        return self.ask(canvas, state, self.chain.drafts(canvas))

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        return self.settle(canvas, state, p, self.chain.drafts(canvas), noise)[0]

    def ask(self, canvas: Canvas, state: State, W: int) -> Query:
        """Ask about the first W >= 1 drafts of the chain."""
        size, x = canvas.grid.size, self._candidates(canvas, state, W)
        # The newest tokens may have been won beside the chain: their own slots do not know them yet.
        index = canvas.ahead(self.behind + W, start=-self.behind).clamp(min=0)
        level = torch.arange(x.shape[1], device=x.device).repeat_interleave(x.shape[2])
        node = torch.arange(len(level), device=x.device)
        on_spine = node % x.shape[2] == 0
        own = ((level < level[:, None]) & on_spine) | (node == node[:, None])
        reach = torch.cat([index.clamp(max=size) + 1, canvas.length[:, None].expand(-1, len(node))], 1)
        sees = F.pad(torch.arange(size + 1, device=x.device) < reach[..., None], (0, len(node)))
        return Query(
            tokens=torch.cat([canvas.read(index), x.flatten(1)], 1),
            index=torch.cat([index, canvas.length[:, None] + level], 1),
            slot=torch.cat([index.clamp(max=size), (size + 1 + node).expand(len(x), -1)], 1),
            sees=sees | F.pad(own, (size + 1, 0, index.shape[1], 0)),
        )

    def settle(self, canvas: Canvas, state: State, p: Tensor, W: int, noise: Noise) -> tuple[State, Tensor]:
        """Verify those W drafts; and how many tokens [B] of each image are final by it."""
        ring, memory = state
        x, before = self._candidates(canvas, state, W), canvas.length
        chain, beside = p[:, self.depth :].tensor_split([W + 1], 1)
        D, beside = x.shape[1], beside.view(*x.shape, -1)
        y, kept = self.chain.judge(canvas, (ring,), chain, noise)
        broken = ~kept[:, 0]  # at the first position: then what is beside the chain may help
        spine = torch.where(broken[:, None, None], beside[:, :, 0], chain[:, 1 : D + 1])
        laws = torch.cat([chain[:, :1], spine, chain[:, D + 1 :]], 1)
        y, kept = self.chain.judge(canvas, (ring,), laws, noise)
        found = y[:, :D, None] == x
        m = found[..., 0].long().cumprod(1).sum(1)  # how far the spine holds
        images, end = torch.arange(len(p), device=p.device), m.clamp(max=D - 1)
        aside = broken & (m < D) & found[images, end].any(1)
        law = beside[images, end, found[images, end].long().argmax(1)]
        here = aside[:, None] & (torch.arange(W + 1, device=p.device) == end[:, None] + 1)
        laws = torch.where(here[..., None], law[:, None], laws)
        y, _ = self.chain.judge(canvas, (ring,), laws, noise)
        n = 1 + torch.where(broken, m + aside, kept.long().cumprod(1).sum(1))
        (ring,) = self.chain.move(canvas, (ring,), y, laws, n, noise)
        return (ring, self._remember(canvas, Laws(memory), Laws(ring), before + W)), n

    def _candidates(self, canvas: Canvas, state: State, W: int) -> Tensor:
        """x [B, D, K], the likeliest first. The first draft of the chain is none of them."""
        index = canvas.ahead(min(self.depth, W))
        past = Laws(state[1]).read(index)
        past[:, 0].scatter_(-1, canvas.read(index[:, :1]), 0.0)
        return past.topk(min(self.width, past.shape[-1])).indices

    def _remember(self, canvas: Canvas, memory: Laws, laws: Laws, known: Tensor) -> Tensor:
        """Add the newest laws to the sums of those before; positions from `known` [B] on have none before."""
        index = canvas.ahead(self.chain.drafts(canvas))
        new = laws.read(index)
        memory.write(index, torch.where((index < known[:, None])[..., None], memory.read(index) + new, new))
        return memory.ring
