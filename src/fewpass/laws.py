"""The laws that the newest tokens were drawn from."""

import torch
from torch import Tensor


class Laws:
    """A ring of the laws of the newest positions: position j of every image lies in slot j % depth.

    What is behind the window has been overwritten by what is ahead of it, so nothing ever moves.
    """

    def __init__(self, ring: Tensor):
        self.ring = ring  # [B, depth, V]

    def _at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return torch.arange(len(index), device=index.device)[:, None], index % self.ring.shape[1]

    def read(self, index: Tensor) -> Tensor:
        """The laws [B, n, V] of the positions `index` [B, n]."""
        return self.ring[self._at(index)]

    def write(self, index: Tensor, law: Tensor) -> None:
        """Put the laws `law` [B, n, V] at the positions `index` [B, n]."""
        self.ring[self._at(index)] = law
