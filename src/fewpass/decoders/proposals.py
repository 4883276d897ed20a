"""The laws that the newest tokens were drawn from."""

import torch
from torch import Tensor


class Laws:
    """A ring of the laws of the newest positions: position j of every image lies in slot j % depth.

    What is behind the window has been overwritten by what is ahead of it, so nothing ever moves.
    """

    def __init__(self, ring: Tensor):
        self.ring = ring  # [B, depth, V]

    def _at(self, index: Tensor) -> Tensor:
        """Where the positions `index` [B, n] lie among all laws of all images, one after the other [B * n]."""
        depth = self.ring.shape[1]
        return (torch.arange(len(index), device=index.device)[:, None] * depth + index % depth).flatten()

    def read(self, index: Tensor) -> Tensor:
        """The laws [B, n, V] of the positions `index` [B, n]."""
        # rows of a matrix are copied several times faster than what an index of two dimensions finds
        return self.ring.flatten(0, 1).index_select(0, self._at(index)).unflatten(0, index.shape)

    def write(self, index: Tensor, law: Tensor) -> None:
        """Put the laws `law` [B, n, V] at the positions `index` [B, n]."""
        self.ring.view(-1, self.ring.shape[-1]).index_copy_(0, self._at(index), law.flatten(0, 1))
