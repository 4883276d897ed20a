"""Pairs of answers of a model that must be equal."""

from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Grid
from fewpass.core.loop import decode
from fewpass.core.protocol import Query
from fewpass.core.sampling import Sampling
from fewpass.decoders.recipes import jacobi
from fewpass.models.base import Model, Prompt
from fewpass.runtime.session import PromptSession
from fewpass.runtime.transformer import Body

LENGTHS = (5, 2, 9)  # of the prompts
SCALE = 2.5  # of guidance


class Probe:
    """A model, a layout, and random prompts and images."""

    def __init__(self, model: Model, grid: Grid, seed: int):
        self.model, self.grid, self.seed = model, grid, seed

    @cached_property
    def prompts(self) -> list[Tensor]:
        """Random prompts of several lengths."""
        chance = torch.Generator().manual_seed(self.seed)
        return [self.model.random_prompt(length, chance) for length in LENGTHS]

    @cached_property
    def images(self) -> Tensor:
        """Canvas tokens [B, N] that obey the layout."""
        chance = torch.Generator().manual_seed(self.seed)
        size = len(LENGTHS), self.grid.size
        codes = torch.randint(self.grid.codes or self.grid.vocab, size, generator=chance).to(self.model.device)
        due = self.grid.due(self.positions)
        return torch.where(due < 0, codes, due)

    @property
    def positions(self) -> Tensor:
        """All positions of the canvas [N]."""
        return torch.arange(self.grid.size, device=self.model.device)

    def open(self, prompts: Sequence[Prompt], guidance: float = 1.0) -> PromptSession:
        """A session that continues these prompts."""
        return self.model.open(prompts, self.grid, guidance, [None] * len(prompts))

    def ask(self, session: PromptSession, images: Tensor, index: Tensor) -> Tensor:
        """The answers to the tokens of `images` [b, N] at `index` [n]."""
        at = index.expand(len(images), -1)
        return session(Query(images.gather(1, at), at))

    def read(self, prompts: Sequence[Prompt], images: Tensor, guidance: float = 1.0) -> Tensor:
        """The logits of every position, asked in one pass: [b, N, V]."""
        session = self.open(prompts, guidance)
        return torch.cat([session.first, self.ask(session, images, self.positions[:-1])], 1)

    def draw(self, window: int) -> Tensor:
        """Canvas tokens drawn under fixed noise: [B, N]."""
        seeds = torch.arange(len(LENGTHS), device=self.model.device) + self.seed
        *_, canvas = decode(self.open(self.prompts), jacobi(window=window), Sampling(), seeds)
        return canvas.tokens[:, : self.grid.size]


def alone(probe: Probe) -> Tensor:
    """The logits behind the first prompt."""
    return probe.read(probe.prompts[:1], probe.images[:1])


def uncached(probe: Probe) -> tuple[Tensor, Tensor]:
    """One token after the other, and the whole sequence without a cache."""
    session, images = probe.open(probe.prompts[:1]), probe.images[:1]
    steps = torch.cat([session.first, *(probe.ask(session, images, k) for k in probe.positions[:-1, None])], 1)
    network, prompt = probe.model.network_for(probe.grid), probe.model.embed(probe.prompts[0])[None]
    if not isinstance(network.body, Body):
        return steps, alone(probe)
    inputs = torch.cat([prompt, network.embed(images[:, :-1])], 1)
    offset = torch.tensor([prompt.shape[1]], device=inputs.device)
    ids = network.positions(torch.arange(inputs.shape[1], device=inputs.device)[None], offset)
    hidden = network.body.uncached(inputs, ids)[:, prompt.shape[1] - 1 :]
    return steps, probe.grid.forbid(probe.positions[None], network.head(hidden).to(steps.dtype))


def overwritten(probe: Probe) -> tuple[Tensor, Tensor]:
    """Slots that have held other tokens, and slots that have not."""
    session, images = probe.open(probe.prompts[:1]), probe.images[:1]
    probe.ask(session, images.roll(1, 1), probe.positions[:-1])
    again = probe.ask(session, images, probe.positions[:-1])
    return torch.cat([session.first, again], 1), alone(probe)


def together(probe: Probe) -> tuple[Tensor, Tensor]:
    """Prompts of different lengths in one batch, and each alone."""
    singles = [probe.read([prompt], image[None]) for prompt, image in zip(probe.prompts, probe.images, strict=True)]
    return probe.read(probe.prompts, probe.images), torch.cat(singles)


def guided(probe: Probe) -> tuple[Tensor, Tensor] | None:
    """A guided image, and its rows, each run alone and then mixed by hand; None for a model without guidance."""
    prompt, image = probe.prompts[0], probe.images[:1]
    try:
        rows = probe.model.rows(prompt, None, probe.grid)
        conditional, unconditional = (probe.read([row], image) for row in rows)
    except ValueError:
        nothing = torch.tensor([torch.nan])  # equals no answer
        return None if probe.model.guidance == 1 else (nothing, nothing)
    mixed = unconditional + SCALE * (conditional - unconditional)
    return probe.read([prompt], image, SCALE), mixed.masked_fill(unconditional == -torch.inf, -torch.inf)


def forced(probe: Probe) -> tuple[Tensor, Tensor]:
    """Probabilities where the layout leaves no choice, and certainty; no symbol elsewhere."""
    p, due = alone(probe).softmax(-1)[0], probe.grid.due(probe.positions)
    certain = F.one_hot(due.relu(), probe.grid.vocab).to(p.dtype)
    symbol = torch.arange(probe.grid.vocab, device=p.device) >= (probe.grid.codes or probe.grid.vocab)
    return p, torch.where((due >= 0)[:, None], certain, p.masked_fill(symbol, 0.0))
