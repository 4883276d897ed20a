"""PJD: every row is drawn by Jacobi decoding, several rows at once."""

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import MOST, whole
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Host, Query, State, prepared
from fewpass.decoders.proposals import Laws
from fewpass.decoders.row_frontier import Front, Lines, check_rows
from fewpass.decoders.rules import Rule, Speculative, Verdict


@dataclass(frozen=True)
class Rows(Decoder):
    """A row is opened when the row above has `context` tokens, or all. Parallel Jacobi decoding, 2606.05703. Lossy.

    Each row has a window of its own, of `window` drafts but never ahead of the row above. A draft sees what is final
    and the drafts before it in its row, not those of other rows. The topmost row commits as SJD does; the others
    commit only drafts that stood and defer the rest. A context of a whole row or more is SJD row by row: lossless.

    Not known of the paper: the window, and the law that deferred drafts are tested against next time. Here it is the
    newest one, p, which all of them may pass for draws from: the first that failed is drawn from its residual, those
    behind it anew. First guesses are uniform.
    """

    window: int
    context: int
    rule: Rule = Speculative()

    def __post_init__(self) -> None:
        whole("window", self.window, 1, MOST, of="drafts")
        whole("context", self.context, 1, MOST, of="tokens")

    def prepared(self, session: Host) -> Self:
        check_rows(session)
        return replace(self, rule=prepared(self.rule, session))

    @property
    def margin(self) -> int:
        return 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        rows = len(Lines.of(canvas.grid, p.device))
        laws = Laws(p.new_zeros(len(p), rows * (self.window + 1) + 1, p.shape[-1]))
        front = Front.of(canvas, self.context, rows)
        self._guess(canvas, laws, replace(front, active=torch.ones_like(front.active)), front.n, noise)
        return (laws.ring,)

    def draft(self, canvas: Canvas, state: State) -> Query:
        query = Front.of(canvas, self.context).ask(canvas, self.window)
        return replace(query, sees=_row_causal(canvas, query.index))

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        p = p[:, 1:].unflatten(1, (-1, self.window + 1))  # the first answer is about a row that is open
        laws, front = Laws(*state), Front.of(canvas, self.context, rows=p.shape[1])
        index, asked = front.targets(self.window), front.asked(self.window)
        j = torch.arange(self.window + 1, device=p.device)
        at = self._place(laws, front, front.n[..., None] + j, j < asked[..., None])
        x, q = canvas.read(index.flatten(1)).view_as(index), laws.read(at.flatten(1)).view_as(p)
        y, kept = self._row_by_row(x[..., :-1], q[..., :-1, :], p, index, noise)
        stood = kept.long().cumprod(-1).sum(-1)
        committed = torch.minimum(stood + front.top, asked)
        canvas.write(index.flatten(1), y.flatten(1))
        laws.write(at.flatten(1), p.flatten(1, 2))
        canvas.settle(index.flatten(1), (j < committed[..., None]).flatten(1))
        self._guess(canvas, laws, replace(front, n=front.n + committed), front.n + asked, noise)
        return (laws.ring,)

    def _row_by_row(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        """The rule, applied to each row [B, R, ...] as if it were an image of its own."""
        images, rows = x.shape[:2]
        own = Noise(noise.seeds.repeat_interleave(rows), noise.step.repeat_interleave(rows))
        x, q, p, index = (part.flatten(0, 1) for part in (x, q, p, index))
        verdict = self.rule(x, q, p, index, own)
        return Verdict(*(part.unflatten(0, (images, rows)) for part in verdict))

    def _guess(self, canvas: Canvas, laws: Laws, front: Front, known: Tensor, noise: Noise) -> None:
        """Fill up the windows of active rows behind their first `known` [B, R] tokens, which have been drawn before."""
        column = front.n[..., None] + torch.arange(self.window, device=known.device)
        new = front.active[..., None] & (column >= known[..., None]) & (column < front.width[..., None])
        index = torch.where(new, front.start[..., None] + column, front.size).flatten(1)
        q = canvas.grid.force(index, canvas.grid.uniform(laws.ring).expand(*index.shape, -1))
        canvas.write(index, self.rule.draw(q, index, noise))
        laws.write(self._place(laws, front, column, new).flatten(1), q)

    def _place(self, laws: Laws, front: Front, column: Tensor, real: Tensor) -> Tensor:
        """Where the laws of columns [B, R, n] are kept: a ring for each row, and one place for what is not real."""
        ring = self.window + 1
        return torch.where(real, front.row[..., None] * ring + column % ring, laws.ring.shape[1] - 1)


def _row_causal(canvas: Canvas, index: Tensor) -> Tensor:
    """What the tokens at `index` [B, n] may see: all that is final before them, and drafts of their own row."""
    lines = Lines.of(canvas.grid, index.device)
    slot = torch.arange(canvas.grid.size + 1, device=index.device)
    same = (
        lines.at(slot + 1) == lines.at(index + 1)[..., None]
    )  # a token counts as part of the row that it helps to draw
    final = F.pad(canvas.final, (0, 1))[:, None]
    return (slot <= index[..., None]) & (final | same)
