"""The contracts, shipped: a toy model whose joint law is computable, and the check that a decoder draws from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Grid
from fewpass.core.codebook import Codebook
from fewpass.core.loop import Drawing, decode
from fewpass.core.noise import GOLDEN, bits, mix
from fewpass.core.protocol import Decoder, ElasticSession, Query, Session
from fewpass.core.sampling import Sampler

CHUNK = 20_000  # images drawn together: their tensors stay in the processor's cache


class Toy:
    """A session of B images on a tiny grid whose every conditional law is a hash of the visible tokens.

    Hash functions make the laws as dissimilar as laws can be, so that a decoder that accepts a draft it should
    have rejected is seen at once. `guidance` mixes in the logits of a second model, as classifier-free guidance does.
    The codes lie on a circle, each nearest to those before and after it.
    """

    def __init__(self, images: int, grid: Grid, sharpness: float = 1.5, guidance: float = 1.0):
        self.grid, self.sharpness, self.guidance = grid, sharpness, guidance
        # Slots of tokens, hashed with their positions; 0 where nothing was written. The last one is scrap.
        self.words = torch.zeros(images, 2 * grid.size + 2, dtype=torch.long)
        empty = torch.zeros(images, 1, dtype=torch.long)
        self.first = self.logits(empty, empty)
        angle = torch.arange(grid.vocab) * (2 * torch.pi / (grid.codes or grid.vocab))
        circle = torch.stack([angle.cos(), angle.sin()], 1)
        self.codebook = Codebook(circle[: grid.codes or grid.vocab], circle.__getitem__)

    def __call__(self, query: Query) -> Tensor:
        """The logits behind the tokens of a query: [B, n, V]."""
        self._reserve(0 if query.sees is None else query.sees.shape[-1] + 1)
        slot = (query.index if query.slot is None else query.slot).clamp(max=self.words.shape[1] - 1)
        self.words.scatter_(1, slot, self.word(query.tokens, query.index))
        if query.sees is None:
            prefix = self.words.cumsum(1).gather(1, slot)
        else:
            prefix = (self.words[:, None, : query.sees.shape[-1]] * query.sees).sum(-1)
        return self.logits(prefix, query.index + 1)

    def word(self, tokens: Tensor, index: Tensor | int) -> Tensor:
        """The hashes that `tokens` at the positions `index` add to a prefix."""
        return mix((tokens + 1) * GOLDEN + index)

    def logits(self, prefix: Tensor, index: Tensor) -> Tensor:
        """Float64 [..., V] for the positions `index` after `prefix`, a sum of words."""
        logits = self._scores(prefix, salt=13)
        if self.guidance != 1:
            free = self._scores(prefix, salt=57)
            logits = free + self.guidance * (logits - free)
        return self.grid.forbid(index, logits)

    def _scores(self, prefix: Tensor, salt: int) -> Tensor:
        odd = (2 * torch.arange(self.grid.vocab) + 1) * GOLDEN
        return (bits(mix(prefix + salt)[..., None] * odd) * 2.0**-39 - 1).double() * self.sharpness

    def _reserve(self, slots: int) -> None:
        self.words = F.pad(self.words, (0, max(0, slots - self.words.shape[1])))

    def select(self, images: Tensor) -> "Toy":
        """Only the images listed in `images` [b]."""
        return self._having(self.words[images], self.first[images])

    def join(self, other: "Toy") -> "Toy":
        """These images and then those of `other`."""
        for one, another in ((self, other), (other, self)):
            one._reserve(another.words.shape[1])
        return self._having(torch.cat([self.words, other.words]), torch.cat([self.first, other.first]))

    def _having(self, words: Tensor, first: Tensor) -> "Toy":
        new = Toy(0, self.grid, self.sharpness, self.guidance)
        new.words, new.first = words, first
        return new


Draw = Callable[[Session, Decoder, Sampler, Tensor], Tensor]  # session, decoder, law, seeds [B] -> tokens [B, N]


def drawn(session: Session, decoder: Decoder, law: Sampler, seeds: Tensor) -> Tensor:
    """The tokens [B, N] of the finished images."""
    *_, canvas = decode(session, decoder, law, seeds)
    return canvas.tokens[:, : session.grid.size]


@torch.inference_mode()
def coming_and_going(session: Session, decoder: Decoder, law: Sampler, seeds: Tensor) -> Tensor:
    """As `drawn`, but the images come in three groups, a pass apart, and leave when they are finished."""
    assert isinstance(session, ElasticSession)
    groups = [g for g in torch.arange(len(seeds)).tensor_split(3) if len(g)]
    return joining([session.select(g) for g in groups], decoder, law, seeds.split([len(g) for g in groups]))


@torch.inference_mode()
def joining(sessions: Sequence[Session], decoder: Decoder, law: Sampler, seeds: Sequence[Tensor]) -> Tensor:
    """The tokens of the images of all `sessions`, which join a pass apart, and leave when they are finished."""
    numbers = torch.arange(sum(map(len, seeds))).split([len(s) for s in seeds])
    arrivals = [(n, Drawing(s, decoder, law, own)) for n, s, own in zip(numbers, sessions, seeds, strict=True)]
    images, drawing = arrivals.pop(0)
    tokens = torch.full((int(numbers[-1][-1]) + 1, drawing.canvas.grid.size), -1)
    while len(images):
        drawing.advance()
        tokens[images] = drawing.canvas.tokens[:, : drawing.canvas.grid.size]
        if arrivals:
            late, other = arrivals.pop(0)
            drawing.join(other)
            images = torch.cat([images, late])
        going = torch.tensor([i for i, done in enumerate(drawing.canvas.finished) if not done], dtype=torch.long)
        drawing.select(going)
        images = images[going]
    return tokens


@dataclass(frozen=True, eq=False)
class JointLaw:
    """The exact probability of every toy image, under one way of sampling."""

    grid: Grid
    law: Sampler
    sharpness: float = 1.5
    guidance: float = 1.0

    def session(self, images: int) -> Toy:
        """A toy that draws `images` images at once."""
        return Toy(images, self.grid, self.sharpness, self.guidance)

    @cached_property
    def probability(self) -> Tensor:
        """[V ** N] float64, images in lexicographic order: all prefixes, grown by one position at a time."""
        toy, symbols = self.session(0), torch.arange(self.grid.vocab)
        prefix, p = torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.float64)
        for position in range(self.grid.size):
            law = self.law(toy.logits(prefix[:, None], torch.full((len(prefix), 1), position)))[:, 0]
            p = (p[:, None] * law).flatten()
            prefix = (prefix[:, None] + toy.word(symbols, position)).flatten()
        return p

    def counts(self, decoder: Decoder, images: int, seed: int = 0, draw: Draw = drawn) -> Tensor:
        """How often each image was drawn among `images`: [V ** N] float64."""
        place = self.grid.vocab ** torch.arange(self.grid.size - 1, -1, -1)
        seen = torch.zeros_like(self.probability)
        for seeds in (torch.arange(images) + seed).split(CHUNK):
            tokens = draw(self.session(len(seeds)), decoder, self.law, seeds)
            seen += torch.bincount((tokens * place).sum(1), minlength=len(seen))
        return seen


@dataclass(frozen=True)
class LawFigure:
    """How far a decoder's images are from the distribution of the model."""

    z: float  # standardised chi-square: a few at most if the decoder is lossless
    total_variation: float
    noise: float  # the total variation that sampling alone leads one to expect
    impossible: int  # images of probability 0 that were drawn

    @property
    def exact(self) -> bool:
        """No deviation that chance does not explain, and no image that cannot be."""
        return abs(self.z) < 5 and self.impossible == 0


def check_decoder(
    decoder: Decoder, joint: JointLaw, images: int = 200_000, seed: int = 0, draw: Draw = drawn
) -> LawFigure:
    """Draw many toy images and compare their frequencies with the exact joint law.

    Image i has the seed `seed` + i. `draw` is how: all in one batch, unless something else is to be tried. Cells that
    expect fewer than 10 images are pooled.

    Raises ValueError if the decoder needs more than a toy offers.
    """
    p = joint.probability
    n, expected = joint.counts(decoder, images, seed, draw), p * images
    large = expected >= 10
    seen = torch.cat([n[large], n[~large].sum()[None]])
    due = torch.cat([expected[large], expected[~large].sum()[None]])
    seen, due = seen[due > 0], due[due > 0]
    freedom = len(due) - 1
    chi2 = ((seen - due) ** 2 / due).sum()
    z = (chi2 - freedom) / (2 * max(freedom, 1)) ** 0.5 if freedom else chi2 * 0
    noise = (p * (1 - p) / images * 2 / torch.pi).sqrt().sum() / 2
    return LawFigure(float(z), float((n / images - p).abs().sum() / 2), float(noise), int(n[p == 0].sum()))
