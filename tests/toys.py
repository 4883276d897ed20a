"""Toy sessions to draw on, and ways to draw."""

import torch
from torch import Tensor

from fewpass import Drawing, Grid, Sampling
from fewpass.decoders import Decoder
from fewpass.sampling import Law
from fewpass.testing import Toy, drawn

FREE = Grid(2, 3, 4)
ROW_ENDS = Grid(2, 4, 5, codes=4, forced=torch.tensor([-1, -1, -1, 4] * 2))
WIDE = Grid(3, 5, 16)
WIDE_ROW_ENDS = Grid(3, 5, 17, codes=16, forced=torch.tensor([-1, -1, -1, -1, 16] * 3))
PLAIN = Sampling()
GREEDY = Sampling(temperature=0)


@torch.inference_mode()
def coming_and_going(session: Toy, decoder: Decoder, law: Law, seeds: Tensor) -> Tensor:
    """As `drawn`, but the images come in three groups, a pass apart, and leave when they are finished."""
    groups = torch.arange(len(seeds)).tensor_split(3)
    arrivals = [(g, Drawing(session.select(g), decoder, law, seeds[g])) for g in groups if len(g)]
    images, drawing = arrivals.pop(0)
    tokens = torch.full((len(seeds), session.grid.size), -1)
    while len(images):
        drawing.advance()
        tokens[images] = drawing.canvas.tokens[:, : session.grid.size]
        if arrivals:
            late, other = arrivals.pop(0)
            drawing.join(other)
            images = torch.cat([images, late])
        going = torch.tensor([i for i, done in enumerate(drawing.canvas.finished) if not done], dtype=torch.long)
        drawing.select(going)
        images = images[going]
    return tokens


def one_by_one(session: Toy, decoder: Decoder, law: Law, seeds: Tensor) -> Tensor:
    """As `drawn`, but every image alone."""
    alone = [drawn(session.select(i[None]), decoder, law, seeds[i][None]) for i in torch.arange(len(seeds))]
    return torch.cat(alone)
