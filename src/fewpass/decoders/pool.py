"""N-grams of an image: its answers by their position and neighbours, and by their neighbours alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fewpass.core.canvas import Grid
from fewpass.core.noise import GOLDEN

BITS = 21  # of a key for each of position, left and above: two million of each


@dataclass(frozen=True, eq=False)
class Pool:
    """A hash table of answers for each image: keys and tokens [B, entries + 1].

    An entry holds the newest answer with its hash. A collision costs a draft, never a token.
    """

    keys: Tensor
    tokens: Tensor

    def learn(self, near: "Neighbours", beside: Tensor, y: Tensor) -> None:
        """Store the answers y [B, n] at the positions of `near`, between the neighbours `beside` [B, 3, n]."""
        n, spare = y.shape[1], self.keys.shape[1] - 1
        earlier = torch.ones(n, n, dtype=torch.bool, device=y.device).tril(-1)
        for keys in near.keys(beside).unbind(1):
            entry = torch.where(near.index < near.size, self._entry(keys), spare)
            # Of several answers the leftmost is the most certain.
            again = ((entry[:, :, None] == entry[:, None]) & earlier).any(-1)
            entry = torch.where(again, spare, entry)
            self.keys.scatter_(1, entry, keys)
            self.tokens.scatter_(1, entry, y)

    def look_up(self, keys: Tensor) -> Tensor:
        """The answers with the keys [B, ...], -1 where there is none."""
        flat = keys.flatten(1)
        entry = self._entry(flat)
        return torch.where(self.keys.gather(1, entry) == flat, self.tokens.gather(1, entry), -1).view_as(keys)

    def _entry(self, keys: Tensor) -> Tensor:
        entries = self.keys.shape[1] - 1
        return (keys * GOLDEN >> 65 - entries.bit_length()) & (entries - 1)  # multiplicative hashing: the upper bits


class Neighbours:
    """The tokens left of and above the positions `index` [B, n], and the one to be copied there.

    That is the one above, in the first row the left one. A token beyond the edge of the grid is number `vocab`.
    """

    def __init__(self, grid: Grid, index: Tensor):
        into, width = grid.locate(index)
        left = torch.where(into % width > 0, index - 1, -1)
        above = torch.where(into >= width, index - width, -1)
        at = torch.stack([left, above, torch.where(above < 0, index - 1, above)], 1)  # [B, 3, n]
        self.index, self.size, self.vocab = index, grid.size, grid.vocab
        self.at, self.beyond = at.clamp(min=0), at < 0
        here = index + 2
        self.tags = torch.stack([here << 2 * BITS, torch.full_like(here, 1 << 2 * BITS)], 1)  # [B, 2, n]

    def tokens(self, tokens: Tensor) -> Tensor:
        """Left, above and copied at all positions: [B, 3, n]."""
        return tokens.gather(1, self.at.flatten(1)).view_as(self.at).masked_fill_(self.beyond, self.vocab)

    def keys(self, beside: Tensor) -> Tensor:
        """Keys with the position and without it, never 0: [B, 2, n] for neighbours [B, 3, n]."""
        return ((beside[:, 0] << BITS) + beside[:, 1])[:, None] + self.tags
