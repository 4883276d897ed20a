"""Toy sessions to draw on, and ways to draw."""

import torch
from torch import Tensor

from fewpass import Grid, Sampling
from fewpass.core.loop import decode
from fewpass.core.protocol import Decoder
from fewpass.core.sampling import Sampler
from fewpass.testing import Draw, JointLaw, Toy, drawn

FREE = Grid(2, 3, 4)
ROW_ENDS = Grid(2, 4, 5, codes=4, forced=torch.tensor([-1, -1, -1, 4] * 2))
WIDE = Grid(3, 5, 16)
WIDE_ROW_ENDS = Grid(3, 5, 17, codes=16, forced=torch.tensor([-1, -1, -1, -1, 16] * 3))
PLAIN = Sampling()
GREEDY = Sampling(temperature=0)
LAWS = {
    "plain": JointLaw(FREE, PLAIN),
    "sharp, guidance": JointLaw(FREE, PLAIN, sharpness=3.0, guidance=2.0),
    "top-k, temperature": JointLaw(FREE, Sampling(0.7, top_k=2)),
    "row ends, top-p": JointLaw(ROW_ENDS, Sampling(top_p=0.9)),
}


def one_by_one(session: Toy, decoder: Decoder, law: Sampler, seeds: Tensor) -> Tensor:
    """As `drawn`, but every image alone."""
    alone = [drawn(session.select(i[None]), decoder, law, seeds[i][None]) for i in torch.arange(len(seeds))]
    return torch.cat(alone)


def toy(
    grid: Grid, decoder: Decoder, law: Sampler = PLAIN, draw: Draw = drawn, images: int = 24, sharpness: float = 1.5
) -> Tensor:
    """Tokens of images drawn with guidance, their numbers for seeds."""
    return draw(Toy(images, grid, sharpness, guidance=1.5), decoder, law, torch.arange(images))


def mean_passes(decoder: Decoder, sharpness: float, images: int = 100) -> float:
    """Passes behind the prompt's that an image of 8 x 8 tokens takes."""
    grid = Grid(8, 8, 16)
    seen = decode(Toy(images, grid, sharpness), decoder, PLAIN, torch.arange(images))
    return sum(float((canvas.length < grid.size).sum()) for canvas in seen) / images


def noted(trace, canvases):
    """The same canvases, each noted in the trace of images that began together."""
    for passes, canvas in enumerate(canvases, start=1):
        trace.note(canvas, torch.full((len(canvas.tokens),), passes))
        yield canvas
