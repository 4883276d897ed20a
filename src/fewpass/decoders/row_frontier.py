"""The row frontier: rows of an image that are drawn side by side."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.protocol import Query, SessionInfo


@dataclass(frozen=True, eq=False)
class RowTable:
    """All rows of a layout, those of the grids before the picture first."""

    start: Tensor  # [L] position of the first token
    width: Tensor  # [L] tokens
    opens: Tensor  # [L] bool: the first row of its grid

    @classmethod
    def of(cls, grid: Grid, device: torch.device) -> "RowTable":
        width = torch.tensor([cols for rows, cols in grid.grids for _ in range(rows)], device=device)
        opens = torch.tensor([row == 0 for rows, _ in grid.grids for row in range(rows)], device=device)
        return cls(width.cumsum(0) - width, width, opens)

    def __len__(self) -> int:
        return len(self.start)

    def at(self, index: Tensor) -> Tensor:
        """The row of each position in `index`; the last one for positions past the image."""
        return torch.bucketize(index, self.start, right=True) - 1


@dataclass(frozen=True, eq=False)
class RowFrontier:
    """R rows of every image, from its topmost unfinished one down: [B, R] all.

    Row number `row` begins at position `start` and has `width` tokens, of which `n` are final; the row above has
    `above` final tokens. `active` rows are open. Rows past the last one count as finished. Above the first row of a
    grid stands a finished row, or an empty one until the grid before is finished.
    """

    size: int
    row: Tensor
    start: Tensor
    width: Tensor
    n: Tensor
    above: Tensor
    active: Tensor

    @classmethod
    def of(cls, canvas: Canvas, context: int, rows: int | None = None) -> "RowFrontier":
        """A row is open when the row above has `context` final tokens, or all; R is `rows`, or covers the open rows."""
        lines = RowTable.of(canvas.grid, canvas.final.device)
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
        """Rows below a finished row."""
        return self.above == self.width

    def asked(self, window: int) -> Tensor:
        """How many of the next `window` + 1 tokens of each row a query covers, never ahead of the row above: [B, R]."""
        return torch.where(self.active, (self.above - self.n).clamp(max=window + 1), 0)

    def targets(self, window: int) -> Tensor:
        """The positions that a query covers, `size` in place of the others: [B, R, window + 1]."""
        j = torch.arange(window + 1, device=self.n.device)
        index = (self.start + self.n)[..., None] + j
        return torch.where(j < self.asked(window)[..., None], index, self.size)

    def ask(self, canvas: Canvas, window: int) -> Query:
        """Feed the newest token of each row and `window` drafts behind it; first, the end of the last finished row.

        The first token of a row follows the end of the row above, which is unknown until that row is finished, unless
        the layout dictates it. The newest token of the row above stands in for it. So the cached keys and values of
        row ends are wrong or early, and are written anew while the row below is the topmost one.
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


def check_rows(info: SessionInfo) -> None:
    """Raise ValueError if no grid has several rows."""
    grids = info.grid.grids
    if all(rows == 1 for rows, _ in grids):
        raise ValueError(f"needs a grid of several rows, got {' and '.join(f'{r} x {c}' for r, c in grids)}")
