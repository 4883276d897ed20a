"""Rows drawn side by side: what decoders need that know that an image has two dimensions."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.protocol import Host, Query


@dataclass(frozen=True, eq=False)
class Lines:
    """All rows of a layout, those of what is drawn before the picture first: where they begin, how long they are."""

    start: Tensor  # [L]
    width: Tensor  # [L]
    opens: Tensor  # [L] bool: the first row of its grid

    @classmethod
    def of(cls, grid: Grid, device: torch.device) -> "Lines":
        width = torch.tensor([cols for rows, cols in grid.grids for _ in range(rows)], device=device)
        opens = torch.tensor([row == 0 for rows, _ in grid.grids for row in range(rows)], device=device)
        return cls(width.cumsum(0) - width, width, opens)

    def __len__(self) -> int:
        return len(self.start)

    def at(self, index: Tensor) -> Tensor:
        """The row that each position of `index` lies in, the last one for what is past the image."""
        return torch.bucketize(index, self.start, right=True) - 1


@dataclass(frozen=True, eq=False)
class Front:
    """The rows being drawn, for every image from its topmost unfinished one down: [B, R] all.

    Row number `row` begins at position `start` and is `width` long; it has `n` final tokens, the row above it `above`.
    Rows that have not been opened yet are not `active`; those past the last one count as finished. Above the first
    row of a grid there is a finished one, or one without tokens as long as another grid is drawn before.
    """

    size: int
    row: Tensor
    start: Tensor
    width: Tensor
    n: Tensor
    above: Tensor
    active: Tensor

    @classmethod
    def of(cls, canvas: Canvas, context: int, rows: int | None = None) -> "Front":
        """A row is opened when the one above it has `context` tokens, or all; `rows` is R, by default as few as do."""
        lines = Lines.of(canvas.grid, canvas.final.device)
        counted = F.pad(canvas.final.cumsum(1), (1, 0))
        n = counted[:, lines.start + lines.width] - counted[:, lines.start]
        finished = n == lines.width
        over = F.pad(finished[:, :-1], (1, 0), value=True) * lines.width
        above = torch.where(lines.opens, over, F.pad(n[:, :-1], (1, 0)))
        active = ~finished & (above >= lines.width.clamp(max=context))
        row = finished.long().cumprod(1).sum(1, keepdim=True) + torch.arange(
            rows or max(1, int(active.sum(1).max())), device=n.device
        )
        real, at = row < len(lines), row.clamp(max=len(lines) - 1)
        n = torch.where(real, n.gather(1, at), lines.width[at])
        return cls(
            canvas.grid.size, at, lines.start[at], lines.width[at], n, above.gather(1, at), active.gather(1, at) & real
        )

    @cached_property
    def top(self) -> Tensor:
        """The rows that nothing above has still to be drawn for."""
        return self.above == self.width

    def asked(self, window: int) -> Tensor:
        """How many of the next `window` + 1 tokens of each row are asked about: never ahead of the row above. [B, R]"""
        return torch.where(self.active, (self.above - self.n).clamp(max=window + 1), 0)

    def targets(self, window: int) -> Tensor:
        """The positions of what is asked about, `size` for the others: [B, R, window + 1]."""
        j = torch.arange(window + 1, device=self.n.device)
        index = (self.start + self.n)[..., None] + j
        return torch.where(j < self.asked(window)[..., None], index, self.size)

    def ask(self, canvas: Canvas, window: int) -> Query:
        """Feed the newest token of each row and `window` guesses behind it; first, the end of the last finished row.

        A row is opened by a token that is not there yet, unless the layout dictates it: the end of the row above. The
        newest token of that row stands in for it. What was kept of the true one is thus wrong, or right but computed
        too early, and is written anew as long as the row it opens is the topmost one.
        """
        j = torch.arange(window + 1, device=self.n.device)
        index = (self.start + self.n - 1)[..., None] + j
        fed = self.active[..., None] & (j < self.asked(window).clamp(min=1)[..., None])
        index = torch.where(fed, index, self.size)
        tokens = canvas.read(index.flatten(1)).view_as(index)
        early = self.active & (self.n == 0) & ~self.top
        tokens[..., 0] = torch.where(early, self._stand_in(canvas, early), tokens[..., 0])
        open_ = self.active[:, :1] & (self.n[:, :1] > 0) & (self.start[:, :1] > 0)
        end = torch.where(open_, self.start[:, :1] - 1, self.size)
        return Query(torch.cat([canvas.read(end), tokens.flatten(1)], 1), torch.cat([end, index.flatten(1)], 1))

    def _stand_in(self, canvas: Canvas, early: Tensor) -> Tensor:
        due = canvas.grid.due(self.start - 1)
        newest = self.start - self.width + self.above - 1
        return torch.where(due < 0, canvas.read(torch.where(early, newest, self.size)), due)


def check_rows(session: Host) -> None:
    """Raise ValueError if there is nothing to draw side by side."""
    grids = session.grid.grids
    if all(rows == 1 for rows, _ in grids):
        raise ValueError(f"needs a grid of several rows, not {' and '.join(f'{r} x {c}' for r, c in grids)}")
