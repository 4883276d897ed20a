"""The images that every decoder of a benchmark draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from fewpass.core.protocol import Decoder
from fewpass.engine.request import BoundOptions, Job
from fewpass.models.base import Model, Prompt

LENGTH = 32  # tokens of a random prompt


@dataclass(frozen=True, eq=False)
class Task:
    """Prompts and settings. Image i shows prompt i modulo their number, with the seed i."""

    settings: BoundOptions
    prompts: Sequence[Prompt]
    random_weights: bool = False

    @property
    def model(self) -> Model:
        """The model of the settings."""
        return self.settings.model

    @property
    def tokens(self) -> int:
        """Tokens of an image, N."""
        return self.settings.grid.size

    def jobs(self, numbers: Sequence[int], decoder: Decoder) -> list[Job]:
        """These images, to be drawn by `decoder`."""
        s, jobs = self.settings, list[Job]()
        for i in numbers:
            prompt = self.prompts[i % len(self.prompts)]
            rows = s.model.read(prompt, None, s.grid, s.guidance)
            jobs.append(Job(s.model, prompt, None, rows, s.grid, s.guidance, decoder, s.sampling, i))
        return jobs

    @cached_property
    def no_pixels(self) -> str | None:
        """Why the model makes no pixels; None if it does."""
        try:
            self.model.check_pictures(self.prompts)
        except ValueError as error:
            return str(error)
        return None


def random_prompts(model: Model, number: int) -> list[Prompt]:
    """Random prompts of `LENGTH` tokens, for models with random weights."""
    chance = torch.Generator().manual_seed(0)
    return [model.random_prompt(LENGTH, chance) for _ in range(number)]
