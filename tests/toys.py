"""Toy sessions to draw on, and ways to draw."""

import torch
from torch import Tensor

from fewpass import Grid, Sampling
from fewpass.decoders import Decoder
from fewpass.sampling import Law
from fewpass.testing import Toy, drawn

FREE = Grid(2, 3, 4)
ROW_ENDS = Grid(2, 4, 5, codes=4, forced=torch.tensor([-1, -1, -1, 4] * 2))
WIDE = Grid(3, 5, 16)
WIDE_ROW_ENDS = Grid(3, 5, 17, codes=16, forced=torch.tensor([-1, -1, -1, -1, 16] * 3))
PLAIN = Sampling()
GREEDY = Sampling(temperature=0)


def one_by_one(session: Toy, decoder: Decoder, law: Law, seeds: Tensor) -> Tensor:
    """As `drawn`, but every image alone."""
    alone = [drawn(session.select(i[None]), decoder, law, seeds[i][None]) for i in torch.arange(len(seeds))]
    return torch.cat(alone)
