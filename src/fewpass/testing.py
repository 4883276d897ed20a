"""The contracts, shipped: a toy model whose joint law is computable, and the check that a decoder draws from it."""

import itertools
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fewpass.canvas import Canvas, Grid
from fewpass.decode import decode
from fewpass.decoders import Decoder, Query
from fewpass.noise import _bits, _mix
from fewpass.sampling import Law


class Toy:
    """A session of B images on a tiny grid whose every conditional law is a hash of the whole prefix.

    Hash functions make the laws as dissimilar as laws can be, so that a decoder that keeps a guess it should not
    have kept is seen at once. `guidance` mixes in the logits of a second model, as classifier-free guidance does.
    """

    def __init__(self, images: int, grid: Grid, sharpness: float = 3.0, guidance: float = 1.0):
        self.grid, self.sharpness, self.guidance = grid, sharpness, guidance
        self.slots = torch.full((images, 2 * grid.size + 2), -1)
        empty = torch.zeros(images, 1, dtype=torch.long)
        self.first = self._logits(empty, empty - 1)

    def __call__(self, query: Query) -> Tensor:
        self.slots.scatter_(1, query.index, query.tokens)
        prefix = torch.zeros(len(self.slots), dtype=torch.long)
        prefixes = []
        for token in self.slots[:, : int(query.index.max()) + 1].T:
            prefix = torch.where(token >= 0, _mix(prefix * 31 + token + 1), prefix)
            prefixes.append(prefix)
        return self._logits(torch.stack(prefixes, 1).gather(1, query.index), query.index)

    def _logits(self, prefix: Tensor, index: Tensor) -> Tensor:
        logits = self._scores(prefix, salt=13)
        if self.guidance != 1:
            free = self._scores(prefix, salt=57)
            logits = free + self.guidance * (logits - free)
        return self.grid.forbid(index + 1, logits)

    def _scores(self, prefix: Tensor, salt: int) -> Tensor:
        lanes = torch.arange(self.grid.vocab) * 104729
        return (_bits(_mix(_mix(prefix * 7919 + salt)[..., None] + lanes)) * 2.0**-39 - 1).double() * self.sharpness

    def select(self, images: Tensor) -> "Toy":
        return self._having(self.slots[images], self.first[images])

    def join(self, other: "Toy") -> "Toy":
        return self._having(torch.cat([self.slots, other.slots]), torch.cat([self.first, other.first]))

    def _having(self, slots: Tensor, first: Tensor) -> "Toy":
        new = Toy(0, self.grid, self.sharpness, self.guidance)
        new.slots, new.first = slots, first
        return new


@dataclass(frozen=True, eq=False)
class JointLaw:
    """What a toy image is, under one way of sampling: the exact probability of every image."""

    grid: Grid
    law: Law
    sharpness: float = 3.0
    guidance: float = 1.0

    def session(self, images: int) -> Toy:
        return Toy(images, self.grid, self.sharpness, self.guidance)

    @cached_property
    def probability(self) -> Tensor:
        """[V ** N] float64, images in lexicographic order."""
        images = torch.tensor(list(itertools.product(range(self.grid.vocab), repeat=self.grid.size)))
        toy = self.session(len(images))
        p = self.law(toy.first)
        if self.grid.size > 1:
            index = torch.arange(self.grid.size - 1).expand(len(images), -1)
            p = torch.cat([p, self.law(toy(Query(images[:, :-1], index)))], 1)
        return p.double().gather(-1, images[..., None])[..., 0].prod(1)

    def counts(self, decoder: Decoder, images: int, seed: int = 0) -> Tensor:
        """How often each image was drawn among `images`: [V ** N] float64."""
        canvas = draw(self.session(images), decoder, self.law, torch.arange(images) + seed)
        place = self.grid.vocab ** torch.arange(self.grid.size - 1, -1, -1)
        drawn = (canvas.tokens[:, : self.grid.size] * place).sum(1)
        return torch.bincount(drawn, minlength=len(self.probability)).double()


@dataclass(frozen=True)
class LawFigure:
    """How far a decoder's images are from the law of the model."""

    z: float  # standardised chi-square: a few at most if the decoder is lossless
    total_variation: float
    noise: float  # the total variation that sampling alone leads one to expect
    impossible: int  # images of probability 0 that were drawn

    @property
    def exact(self) -> bool:
        return abs(self.z) < 5 and self.impossible == 0


def draw(session: Toy, decoder: Decoder, law: Law, seeds: Tensor) -> Canvas:
    """The finished canvas."""
    *_, canvas = decode(session, decoder, law, seeds)
    return canvas


def check_decoder(decoder: Decoder, joint: JointLaw, images: int = 200_000, seed: int = 0) -> LawFigure:
    """Draw many toy images and compare their frequencies with the exact joint law.

    Cells that expect fewer than 10 images are pooled.
    """
    p = joint.probability
    n, expected = joint.counts(decoder, images, seed), p * images
    large = expected >= 10
    seen = torch.cat([n[large], n[~large].sum()[None]])
    due = torch.cat([expected[large], expected[~large].sum()[None]])
    seen, due = seen[due > 0], due[due > 0]
    freedom = len(due) - 1
    chi2 = ((seen - due) ** 2 / due).sum()
    z = (chi2 - freedom) / (2 * max(freedom, 1)) ** 0.5 if freedom else chi2 * 0
    noise = (p * (1 - p) / images * 2 / torch.pi).sqrt().sum() / 2
    return LawFigure(float(z), float((n / images - p).abs().sum() / 2), float(noise), int(n[p == 0].sum()))
