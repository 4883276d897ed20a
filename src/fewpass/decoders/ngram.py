"""Jacobi decoding whose drafts are looked up by their neighbours, or corrected for them."""

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import MOST, real, whole
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Query, SessionInfo, State, with_branches
from fewpass.decoders.correction import DECAY, Answers, Correction
from fewpass.decoders.draft_init import Proposals
from fewpass.decoders.pool import Neighbours, Pool

LEAST = 2  # drafts of the last windows
SIBLINGS = 3  # branches at a draft
ROUNDS = 16  # of drafting a window at most; 8 took 4 % more passes
ENTRIES = 16  # of the table for each position of an image: some ten passes of answers


def reads_are_free(x: Tensor) -> bool:
    """Whether a number is read without waiting for a device."""
    return x.device.type == "cpu"


class Known(NamedTuple):
    """The state: the pool, the noise, the branches of the next pass and the correction; images first."""

    keys: Tensor  # the pool
    tokens: Tensor
    reached: Tensor  # first position without an answer, [B]
    e: Tensor  # exponential noise of the positions ahead, as `Proposals`: [B, depth, V]
    branches: Tensor  # tokens beside the window, [B, branches]
    scores: Tensor  # the correction
    left: Tensor
    XX: Tensor
    XY: Tensor

    @property
    def pool(self) -> Pool:
        return Pool(self.keys, self.tokens)

    @property
    def correction(self) -> Correction:
        return Correction(self.scores, self.left, self.XX, self.XY)


@dataclass(frozen=True)
class NGrams(Decoder):
    """Jacobi decoding under fixed noise with drafts from all answers so far. Lossless.

    The answers of a pass are the model's tokens *if* the drafts before them are right. Jacobi decoding takes the
    answers behind a wrong draft as the next drafts, though they follow a wrong token. Here a pool keeps every answer
    with its left and upper neighbours, and each pass drafts the whole window anew. A draft is the first that exists of:
    the answer at this position with these neighbours; the newest answer at this position, corrected for its left
    neighbour (`Correction`); the answer with these neighbours at any position; the token above. Without a codebook
    nothing is corrected.

    `branches` tokens are verified beside the window: for each of the first drafts the three next best by the corrected
    answer, as in Gumbel top-k, arXiv 1903.06059. One that is the true token where the first draft is wrong is committed
    with the answer behind it. All answers behind branches go into the pool and the correction.

    With a `tolerance` > 0 a draft is accepted too if its log p - log e is at most that much below the largest. Lossy.

    Without it an accepted draft is the token of `ar` under fixed noise, so any draft may be tried. The pool is that of
    lookahead decoding, arXiv 2402.02057, in two dimensions; the noise that of arXiv 2002.09928. The decoder is the
    project's own, see docs/research-log.md. Nothing crosses between host and device but the lengths that every decoder
    reads.
    """

    window: int
    branches: int = 0
    tolerance: float = 0.0
    features: Tensor | None = field(default=None, repr=False, compare=False)  # of the tokens and no token, [V + 1, F]

    def __post_init__(self) -> None:
        whole("window", self.window, 0, MOST, of="drafts")
        whole("branches", self.branches, 0, SIBLINGS * self.window, of=f"tokens beside {self.window} drafts")
        real("tolerance", self.tolerance, 0)

    def bind(self, info: SessionInfo) -> Self:
        features = info.codebook.features if info.codebook else None
        if features is None:
            return self
        return replace(self, features=F.pad(features, (0, 0, 0, info.grid.vocab + 1 - len(features))))

    @property
    def margin(self) -> int:
        return self.window + 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        B, V, depth = len(p), p.shape[-1], self.window + 1
        entries = 1 << (ENTRIES * canvas.grid.size - 1).bit_length()
        keys = torch.zeros(B, entries + 1, dtype=torch.long, device=p.device)  # the last one is never looked up
        e = Proposals(torch.empty(B, depth, V, device=p.device))
        ahead = canvas.ahead(depth)
        e.write(ahead, noise.exponentials(ahead, V))
        branches = keys[:, :1].expand(-1, self.branches)
        correction = Correction.blank(B, depth, V, self._features(e.ring))
        known = Known(keys, torch.zeros_like(keys), canvas.length.clone(), e.ring, branches, *correction)
        return self._redraft(canvas, known)

    def draft(self, canvas: Canvas, state: State) -> Query:
        W, beside = self._drafts(canvas), self._beside(canvas)
        index = canvas.ahead(W + 1, start=-1)
        if not len(beside):
            return Query(canvas.read(index), index)
        # The keys and values of an accepted branch are in a slot of its own, so its token is fed again.
        index = torch.cat([index[:, :1] - 1, index], 1).clamp(min=0)
        own = torch.eye(len(beside), dtype=torch.bool, device=beside.device)
        return with_branches(canvas, index, Known(*state).branches[:, : len(beside)], beside, beside, own)

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        known, W, beside, before = Known(*state), self._drafts(canvas), self._beside(canvas), canvas.lengths
        p = p[:, -(W + 1 + len(beside)) :]
        # The positions of the window, then those behind the branches.
        index = torch.cat([canvas.ahead(W + 1), canvas.length[:, None] + beside + 1], 1)
        x, branches = canvas.read(index[:, :W]), known.branches[:, : len(beside)]
        noises, near = Proposals(known.e), Neighbours(canvas.grid, index)
        ratio = p / noises.read(index)
        best, y = ratio.max(-1)
        if self.tolerance:
            enough = ratio.gather(-1, x[..., None])[..., 0] >= best[:, :W] * math.exp(-self.tolerance)
            y[:, :W] = torch.where(enough, x, y[:, :W])
        neighbours = near.tokens(canvas.tokens)
        left = neighbours[:, 0, W + 1 :]
        left.copy_(torch.where(left == near.vocab, left, branches))  # a row begins with no left neighbour
        known.pool.learn(near, neighbours, y)

        answers = Answers.of(index, ratio, self._features(known.e)[neighbours[:, 0]])
        chain, aside, correction = answers.part(0, W + 1), answers.part(W + 1), known.correction
        correction.learn(chain, chain.index < known.reached[:, None].clamp(max=near.size), DECAY)
        correction.hold(chain)
        if len(beside):
            correction.learn(aside, aside.index < near.size)

        y, behind = y[:, : W + 1], y[:, W + 1 :]
        n = 1 + (y[:, :-1] == x).long().cumprod(1).sum(1)
        if len(beside):
            wrong = n[:, None] - 1  # the first wrong draft, W if there is none
            hit, branch = ((beside == wrong) & (branches == y.gather(1, wrong))).max(1)
            second = hit[:, None] & (torch.arange(W + 1, device=y.device) == n[:, None])
            y = torch.where(second, behind.gather(1, branch[:, None]), y)
            n += hit
        canvas.write(chain.index, y)
        reached = canvas.length + W + 1
        canvas.commit(n)
        moved = max(now - then for now, then in zip(canvas.lengths, before, strict=True))
        new = canvas.ahead(min(moved, self.window + 1), start=max(0, self.window + 1 - moved))
        noises.write(new, noise.exponentials(new, p.shape[-1]))
        return self._redraft(canvas, known._replace(reached=reached))

    def _features(self, like: Tensor) -> Tensor:
        """Features of the tokens [V + 1, F]; without a codebook all tokens are alike."""
        if self.features is None:
            return like.new_zeros(like.shape[-1] + 1, 1)
        return self.features.to(like)

    def _drafts(self, canvas: Canvas) -> int:
        # Drafts may lie past the image: passes over fewer positions round otherwise (fewpass.runtime.cpu.llama).
        return min(self.window, max(canvas.open, LEAST))

    def _beside(self, canvas: Canvas) -> Tensor:
        """For each branch, the number of the draft that it is an alternative to: [S]."""
        S = min(self.branches, SIBLINGS * self._drafts(canvas))
        return torch.arange(S, device=canvas.tokens.device) // SIBLINGS

    def _redraft(self, canvas: Canvas, known: Known) -> State:
        """Draft the window anew, and the branches beside it.

        A draft depends on the drafts left of and above it. All are made at once, from the former ones, until none
        changes.
        """
        W, free = self._drafts(canvas), reads_are_free(canvas.tokens)
        index, slots = canvas.ahead(W), torch.arange(W, device=canvas.tokens.device)
        near, answered = Neighbours(canvas.grid, index), index < known.reached[:, None]
        due = canvas.grid.due(index) if canvas.grid.forced is not None else None
        corrected = known.correction.at(index, self._features(known.e))
        best, before = torch.zeros_like(index), torch.full_like(near.at, -1)
        for _ in range(min(W, ROUNDS)):
            beside = near.tokens(canvas.tokens)
            here, anywhere = known.pool.look_up(near.keys(beside)).unbind(1)
            at = slots
            if free:  # elsewhere scores change nothing
                at = slots[((here < 0) & answered & (beside != before).any(1)).any(0)]
            if len(at):
                best[:, at] = corrected.scores(at, beside[:, 0, at], anywhere[:, at]).max(-1).indices
            x = torch.where(answered, best, torch.where(anywhere < 0, beside[:, 2], anywhere))
            x = torch.where(here < 0, x, here)
            x = x if due is None else torch.where(due < 0, x, due)
            settled = free and torch.equal(x, canvas.read(index))
            canvas.write(index, x)
            if settled:
                break
            before = beside
        depth = min(-(-self.branches // SIBLINGS), W)
        if not depth:
            return known
        beside = near.tokens(canvas.tokens)
        anywhere = known.pool.look_up(near.keys(beside))[:, 1]
        scores = corrected.scores(slots[:depth], beside[:, 0, :depth], anywhere[:, :depth])
        scores.scatter_(2, canvas.read(index[:, :depth])[..., None], -torch.inf)
        branches = scores.topk(SIBLINGS).indices.flatten(1)[:, : self.branches]
        return known._replace(branches=F.pad(branches, (0, self.branches - branches.shape[1])))
