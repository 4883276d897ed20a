"""The image being drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Grid:
    """Raster layout of the image tokens.

    `vocab` counts the image codes, which come first, and the layout's own symbols (row ends). A row end is a column
    like any other, so the picture has rows * cols tokens. Smaller grids may come `before` it, like the preview of
    GLM-Image; positions count through all grids.
    """

    rows: int
    cols: int
    vocab: int
    codes: int = 0  # how many of `vocab` are image codes; 0 means all
    forced: Tensor | None = None  # [size] the token that the layout dictates, -1 where it is free
    before: tuple[tuple[int, int], ...] = ()  # rows and columns of the grids before the picture

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of all grids, the picture last."""
        return (*self.before, (self.rows, self.cols))

    @property
    def start(self) -> int:
        """First position of the picture."""
        return sum(rows * cols for rows, cols in self.before)

    @cached_property
    def size(self) -> int:
        """All positions, N."""
        return sum(rows * cols for rows, cols in self.grids)

    @property
    def widest(self) -> int:
        """Columns of the widest grid."""
        return max(cols for _, cols in self.grids)

    def locate(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The offset of each position [...] in its own grid, and the columns of that grid."""
        into, width, start = index, torch.full_like(index, self.grids[0][1]), 0
        for (rows, cols), (_, after) in pairwise(self.grids):
            start += rows * cols
            into = torch.where(index >= start, index - start, into)
            width = torch.where(index >= start, after, width)
        return into, width

    def uniform(self, like: Tensor) -> Tensor:
        """The uniform distribution over image codes [V], with the dtype and device of `like`."""
        codes = self.codes or self.vocab
        return (torch.arange(self.vocab, device=like.device) < codes).to(like.dtype) / codes

    def certain(self, tokens: Tensor, like: Tensor) -> Tensor:
        """The one-hot distributions of `tokens`: [..., V]."""
        return F.one_hot(tokens, self.vocab).to(like.dtype)

    def due(self, index: Tensor) -> Tensor:
        """The forced token at each position of `index`, -1 where it is free or past the image."""
        if self.forced is None:
            return torch.full_like(index, -1)
        table = F.pad(self.forced.to(index.device), (0, 1), value=-1)
        return table[index.clamp(max=self.size)]

    def force(self, index: Tensor, q: Tensor) -> Tensor:
        """Distributions `q` [..., V] at the positions `index` [...], one-hot where the layout dictates the token."""
        if self.forced is None:
            return q
        due = self.due(index)
        return torch.where((due < 0)[..., None], q, self.certain(due.relu(), q))

    def forbid(self, index: Tensor, logits: Tensor) -> Tensor:
        """Logits [..., V] at the positions `index` [...], -inf for tokens that the layout forbids there.

        A forced token has its own logit, or 0 where that is not finite.
        """
        if self.forced is None:
            return logits
        due = self.due(index)[..., None]
        symbol = torch.arange(self.vocab, device=logits.device)
        certain = symbol == due
        allowed = torch.where(due < 0, symbol < (self.codes or self.vocab), certain)
        return logits.masked_fill(~allowed, -torch.inf).masked_fill_(certain & ~logits.isfinite(), 0.0)


def staying(leaves: Sequence[bool]) -> list[int]:
    """Numbers of the images that stay; the last ones fill the gaps, so that few rows of a KV cache move."""
    n = len(leaves) - sum(leaves)
    last = iter([i for i in range(n, len(leaves)) if not leaves[i]])
    return [next(last) if leaves[i] else i for i in range(n)]


FAULTS = (None, "NaN", "+inf", "-inf for every token")  # of a row of logits, which then has no probabilities


def faults_of(logits: Tensor) -> Tensor:
    """Numbers in FAULTS for logits [..., V]: [...] int64, 0 for none. A single -inf masks a token."""
    peak = logits.amax(-1)  # NaN if any of them is
    return torch.where(peak.isnan(), 1, 2 * (peak == torch.inf) + 3 * (peak == -torch.inf))


class Canvas:
    """The tokens of B images, final or drafts.

    `tokens` is [B, N + margin] int64 in raster order, `final` [B, N] bool marks tokens that no longer change, and
    `length` [B] int64 counts the final ones before the first draft. `fault` [B] int64 is a number in FAULTS.
    """

    def __init__(self, grid: Grid, tokens: Tensor, final: Tensor, fault: Tensor):
        self.grid, self.tokens, self.fault = grid, tokens, fault
        self._hold(final)

    def _hold(self, final: Tensor) -> None:
        self.final, self.length = final, final.long().cumprod(1).sum(1)
        self._numbers: list[list[int]] | None = None

    @classmethod
    def blank(cls, grid: Grid, seeds: Tensor, margin: int) -> "Canvas":
        """One empty image for each of `seeds` [B], with `margin` positions past its end."""
        tokens = seeds.new_zeros(len(seeds), grid.size + margin)
        return cls(
            grid, tokens, torch.zeros_like(tokens[:, : grid.size], dtype=torch.bool), torch.zeros_like(tokens[:, 0])
        )

    def _read_back(self) -> list[list[int]]:
        """`length` and `fault` as Python numbers, read back from the device once a pass."""
        if self._numbers is None:
            self._numbers = torch.stack([self.length, self.fault]).tolist()
        return self._numbers

    @property
    def lengths(self) -> list[int]:
        """`length` as Python numbers."""
        return self._read_back()[0]

    @property
    def faults(self) -> list[str | None]:
        """The fault of each image's logits by the latest commit; None for none."""
        return [FAULTS[number] for number in self._read_back()[1]]

    @property
    def open(self) -> int:
        """Open positions of the image that has the most."""
        return self.grid.size - min(self.lengths)

    @property
    def finished(self) -> list[bool]:
        """Whether each image has no open position."""
        size = self.grid.size
        return [n >= size for n in self.lengths]

    @property
    def unfinished(self) -> Tensor:
        """Numbers of the images that have an open position; see `staying`."""
        return torch.tensor(staying(self.finished), dtype=torch.long, device=self.length.device)

    def ahead(self, n: int, start: int = 0) -> Tensor:
        """The positions length + start ... length + start + n - 1 of each image: [B, n]."""
        return self.length[:, None] + torch.arange(start, start + n, device=self.length.device)

    def inspect(self, logits: Tensor, index: Tensor) -> None:
        """Note faults of the logits [B, n, V] at the positions `index` [B, n]; `faults` has them after the next commit.

        Positions that are final or past the image do not count. Nothing is read back from the device here.
        """
        counts = ~F.pad(self.final, (0, 1), value=True).gather(1, index.clamp(max=self.grid.size))
        self.fault = torch.maximum(self.fault, (faults_of(logits) * counts).amax(1))

    def read(self, index: Tensor) -> Tensor:
        """The tokens at the positions `index` [B, n]: [B, n] int64."""
        return self.tokens.gather(1, index)

    def write(self, index: Tensor, tokens: Tensor) -> None:
        """Put `tokens` [B, n] at the positions `index` [B, n], as drafts."""
        self.tokens.scatter_(1, index, tokens)

    def commit(self, n: Tensor | int) -> None:
        """Make the next `n` tokens [B] of each image final."""
        position = torch.arange(self.grid.size, device=self.length.device)
        self._hold(self.final | (position < (self.length + n)[:, None]))

    def settle(self, index: Tensor, final: Tensor) -> None:
        """Make the tokens at `index` [B, n] final where `final` [B, n] is true."""
        new = torch.zeros_like(self.tokens, dtype=torch.bool).scatter_(1, index, final)
        self._hold(self.final | new[:, : self.grid.size])

    def select(self, images: Tensor) -> "Canvas":
        """The canvas of the images listed in `images` [b]."""
        return Canvas(self.grid, self.tokens[images], self.final[images], self.fault[images])

    def join(self, other: "Canvas") -> "Canvas":
        """The canvas of these images and those of `other`, which has the same grid and margin."""
        pairs = ((self.tokens, other.tokens), (self.final, other.final), (self.fault, other.fault))
        return Canvas(self.grid, *map(torch.cat, pairs))

    def update(self, images: Tensor, part: "Canvas") -> None:
        """Write the state of `part`, the later `select(images)`, back into this canvas."""
        self.tokens[images], self.final[images], self.length[images] = part.tokens, part.final, part.length
        self.fault[images], self._numbers = part.fault, None
