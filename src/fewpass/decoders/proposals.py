"""The draft distributions q, which the newest tokens were drawn from."""

import torch
from torch import Tensor


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
