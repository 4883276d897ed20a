"""What every contestant of a benchmark is to draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from fewpass.core.protocol import Decoder
from fewpass.core.sampling import Sampling
from fewpass.engine.request import BoundOptions, Job
from fewpass.models.base import Model, Prompt
from fewpass.models.emoji.scenes import held_out_prompts
from fewpass.models.zoo import BUNDLED
from fewpass.runtime.session import PromptSession

LENGTH = 32  # tokens of a prompt without meaning


@dataclass(frozen=True, eq=False)
class Task:
    """Prompts, and how images of them are drawn. Image number i is of prompt i, over and over, with the seed i."""

    settings: BoundOptions
    prompts: Sequence[Prompt]

    @property
    def model(self) -> Model:
        return self.settings.model

    @property
    def law(self) -> Sampling:
        return self.settings.sampling

    @property
    def tokens(self) -> int:
        """Of an image, N."""
        return self.settings.grid.size

    def open(self, numbers: Sequence[int]) -> PromptSession:
        """The prompts' pass of these images."""
        prompts = [self.prompts[i % len(self.prompts)] for i in numbers]
        return self.model.open(prompts, self.settings.grid, self.settings.guidance, [None] * len(prompts))

    def jobs(self, numbers: Sequence[int], decoder: Decoder) -> list[Job]:
        """These images, to be drawn by `decoder`."""
        s, jobs = self.settings, list[Job]()
        for i in numbers:
            prompt = self.prompts[i % len(self.prompts)]
            rows = self.model.read(prompt, None, s.grid, s.guidance)
            jobs.append(Job(prompt, None, rows, s.grid, s.guidance, decoder, s.sampling, i))
        return jobs

    def seeds(self, numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor(list(numbers), device=self.model.device)

    @cached_property
    def picture_trouble(self) -> str | None:
        """Why tokens are not made into pictures, if they are not."""
        try:
            self.model.check_pictures(self.prompts)
        except ValueError as error:
            return str(error)
        return None


def random_prompts(model: Model, number: int) -> list[Prompt]:
    """Prompts that take as long to read as any others, for models whose weights mean nothing."""
    chance = torch.Generator().manual_seed(0)
    return [model.random_prompt(LENGTH, chance) for _ in range(number)]


def own_prompts(model: str, number: int) -> list[str]:
    """As many prompts of a bundled model, spread over those it never saw.

    Raises ValueError for a model without any, or with fewer.
    """
    if model not in BUNDLED:
        raise ValueError(f"{model!r} has no prompts of its own: give a file of prompts with --prompts")
    every = held_out_prompts()
    if number > len(every):
        raise ValueError(f"there are {len(every)} prompts, not {number}: give a file of them")
    return [every[i * len(every) // number] for i in range(number)]
