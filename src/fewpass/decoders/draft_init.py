"""The draft distributions q, and draft initialisation: the distributions of drafts at new positions of the window.

A draft is tested against the distribution it was drawn from, so any initialisation keeps the decoder lossless; a better
one only gets more drafts accepted. The five of SJD, arXiv 2410.01699, section 3.3.

Each takes the canvas, the proposals of earlier drafts, the new positions `index` [B, n] and `last` [B, 1], the newest
position with a token and a proposal, and returns distributions [B, n, V].
"""

from collections.abc import Callable

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.messages import shown


class Proposals:
    """A ring of the distributions of the newest positions: position j of an image lies in row j % depth.

    A window overwrites the rows of earlier positions, so nothing moves.
    """

    def __init__(self, ring: Tensor):
        self.ring = ring  # [B, depth, V]

    def _at(self, index: Tensor) -> Tensor:
        """Rows of the positions `index` [B, n] in the flattened ring: [B * n]."""
        depth = self.ring.shape[1]
        return (torch.arange(len(index), device=index.device)[:, None] * depth + index % depth).flatten()

    def read(self, index: Tensor) -> Tensor:
        """The distributions [B, n, V] at the positions `index` [B, n]."""
        # rows of a matrix are copied several times faster than with an index of two dimensions
        return self.ring.flatten(0, 1).index_select(0, self._at(index)).unflatten(0, index.shape)

    def write(self, index: Tensor, q: Tensor) -> None:
        """Put the distributions `q` [B, n, V] at the positions `index` [B, n]."""
        self.ring.view(-1, self.ring.shape[-1]).index_copy_(0, self._at(index), q.flatten(0, 1))


DraftInit = Callable[[Canvas, Proposals, Tensor, Tensor], Tensor]


def uniform(canvas: Canvas, proposals: Proposals, index: Tensor, last: Tensor) -> Tensor:
    """Any code, equally likely."""
    return canvas.grid.uniform(proposals.ring).expand(*index.shape, -1)


def left(canvas: Canvas, proposals: Proposals, index: Tensor, last: Tensor) -> Tensor:
    """The nearest token to the left in the same row, with certainty."""
    neighbour, exists = _left(canvas, index, last)
    return _or_uniform(exists, canvas.grid.certain(canvas.read(neighbour), proposals.ring), canvas)


def left_sample(canvas: Canvas, proposals: Proposals, index: Tensor, last: Tensor) -> Tensor:
    """The distribution of the nearest position to the left in the same row."""
    neighbour, exists = _left(canvas, index, last)
    return _or_uniform(exists, proposals.read(neighbour), canvas)


def above(canvas: Canvas, proposals: Proposals, index: Tensor, last: Tensor) -> Tensor:
    """The token one row up, with certainty."""
    neighbour, exists = _above(canvas, index, last)
    return _or_uniform(exists, canvas.grid.certain(canvas.read(neighbour), proposals.ring), canvas)


def above_sample(canvas: Canvas, proposals: Proposals, index: Tensor, last: Tensor) -> Tensor:
    """The distribution of the position one row up."""
    neighbour, exists = _above(canvas, index, last)
    return _or_uniform(exists, proposals.read(neighbour), canvas)


def _left(canvas: Canvas, index: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    neighbour = torch.minimum(index - 1, last)
    into, width = canvas.grid.locate(index)
    return neighbour, index - neighbour <= into % width


def _above(canvas: Canvas, index: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    into, width = canvas.grid.locate(index)
    neighbour = index - width
    exists = (into >= width) & (neighbour <= last)
    return torch.where(exists, neighbour, last), exists


def _or_uniform(exists: Tensor, q: Tensor, canvas: Canvas) -> Tensor:
    """`q` [B, n, V] where the neighbour exists [B, n], else the uniform distribution."""
    return torch.where(exists[..., None], q, canvas.grid.uniform(q))


DRAFT_INITS: dict[str, DraftInit] = {f.__name__: f for f in (uniform, left, left_sample, above, above_sample)}


def named(name: str) -> DraftInit:
    """One of the five by its name. Raises ValueError if there is none of this name."""
    if not isinstance(name, str) or name not in DRAFT_INITS:
        raise ValueError(f"`guess` must be one of {', '.join(DRAFT_INITS)}, got {shown(name)}")
    return DRAFT_INITS[name]
