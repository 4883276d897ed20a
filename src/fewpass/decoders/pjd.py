"""PJD: rows are drawn by Jacobi decoding, side by side."""

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import MOST, whole
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Query, SessionInfo, State, bind_part
from fewpass.decoders.draft_init import Proposals
from fewpass.decoders.row_frontier import RowFrontier, RowTable, check_rows
from fewpass.decoders.rules import Rule, Speculative, Verdict


@dataclass(frozen=True)
class ParallelRows(Decoder):
    """Open a row when the row above has `context` tokens, or all. Parallel Jacobi decoding, arXiv 2606.05703. Lossy.

    Each row has a window of `window` drafts, never ahead of the row above. A draft attends to final tokens and to the
    drafts before it in its row, not to those of other rows. The topmost row commits as SJD does; the others commit only
    accepted drafts. A context of a whole row or more is SJD row by row, which is lossless.

    The paper gives neither the window nor the proposal that deferred drafts are tested against. Here it is the newest
    p: the first rejected draft is redrawn from its residual, those behind it from p. Drafts begin uniform.
    """

    window: int
    context: int
    rule: Rule = Speculative()

    def __post_init__(self) -> None:
        whole("window", self.window, 1, MOST, of="drafts")
        whole("context", self.context, 1, MOST, of="tokens")

    def bind(self, info: SessionInfo) -> Self:
        check_rows(info)
        return replace(self, rule=bind_part(self.rule, info))

    @property
    def margin(self) -> int:
        return 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        rows = len(RowTable.of(canvas.grid, p.device))
        proposals = Proposals(p.new_zeros(len(p), rows * (self.window + 1) + 1, p.shape[-1]))
        front = RowFrontier.of(canvas, self.context, rows)
        self._fill(canvas, proposals, replace(front, active=torch.ones_like(front.active)), front.n, noise)
        return (proposals.ring,)

    def draft(self, canvas: Canvas, state: State) -> Query:
        query = RowFrontier.of(canvas, self.context).ask(canvas, self.window)
        return replace(query, sees=_row_causal(canvas, query.index))

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        p = p[:, 1:].unflatten(1, (-1, self.window + 1))  # the first answer belongs to an open row
        proposals, front = Proposals(*state), RowFrontier.of(canvas, self.context, rows=p.shape[1])
        index, asked = front.targets(self.window), front.asked(self.window)
        j = torch.arange(self.window + 1, device=p.device)
        at = self._place(proposals, front, front.n[..., None] + j, j < asked[..., None])
        x, q = canvas.read(index.flatten(1)).view_as(index), proposals.read(at.flatten(1)).view_as(p)
        y, kept = self._row_by_row(x[..., :-1], q[..., :-1, :], p, index, noise)
        stood = kept.long().cumprod(-1).sum(-1)
        committed = torch.minimum(stood + front.top, asked)
        canvas.write(index.flatten(1), y.flatten(1))
        proposals.write(at.flatten(1), p.flatten(1, 2))
        canvas.settle(index.flatten(1), (j < committed[..., None]).flatten(1))
        self._fill(canvas, proposals, replace(front, n=front.n + committed), front.n + asked, noise)
        return (proposals.ring,)

    def _row_by_row(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        """The rule, applied to each row [B, R, ...] as to an image of its own."""
        images, rows = x.shape[:2]
        own = Noise(noise.seeds.repeat_interleave(rows), noise.step.repeat_interleave(rows))
        x, q, p, index = (part.flatten(0, 1) for part in (x, q, p, index))
        verdict = self.rule(x, q, p, index, own)
        return Verdict(*(part.unflatten(0, (images, rows)) for part in verdict))

    def _fill(self, canvas: Canvas, proposals: Proposals, front: RowFrontier, known: Tensor, noise: Noise) -> None:
        """Draft the windows of active rows behind their first `known` [B, R] tokens."""
        column = front.n[..., None] + torch.arange(self.window, device=known.device)
        new = front.active[..., None] & (column >= known[..., None]) & (column < front.width[..., None])
        index = torch.where(new, front.start[..., None] + column, front.size).flatten(1)
        q = canvas.grid.force(index, canvas.grid.uniform(proposals.ring).expand(*index.shape, -1))
        canvas.write(index, self.rule.draw(q, index, noise))
        proposals.write(self._place(proposals, front, column, new).flatten(1), q)

    def _place(self, proposals: Proposals, front: RowFrontier, column: Tensor, real: Tensor) -> Tensor:
        """Rows of the ring for columns [B, R, n]: a ring for each row, and a scrap row for unreal columns."""
        ring = self.window + 1
        return torch.where(real, front.row[..., None] * ring + column % ring, proposals.ring.shape[1] - 1)


def _row_causal(canvas: Canvas, index: Tensor) -> Tensor:
    """The attention mask [B, n, M] of the tokens at `index` [B, n]: final tokens before them, drafts of their row."""
    lines = RowTable.of(canvas.grid, index.device)
    slot = torch.arange(canvas.grid.size + 1, device=index.device)
    same = lines.at(slot + 1) == lines.at(index + 1)[..., None]  # a token counts with the row it predicts
    final = F.pad(canvas.final, (0, 1))[:, None]
    return (slot <= index[..., None]) & (final | same)
