"""The images that every decoder of a benchmark draws, and the decoders that can draw them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from fewpass.bench import replay
from fewpass.core.protocol import Decoder, SessionInfo, bind
from fewpass.engine.request import BoundOptions, Job
from fewpass.models.base import Model, Prompt
from fewpass.models.emoji.scenes import held_out_prompts
from fewpass.models.zoo import BUNDLED, classes_of

LENGTH = 32  # tokens of a random prompt


@dataclass(frozen=True, eq=False)
class Task:
    """Prompts and settings. Image i shows prompt i modulo their number, with the seed i."""

    settings: BoundOptions
    prompts: Sequence[Prompt]

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
            jobs.append(Job(prompt, None, rows, s.grid, s.guidance, decoder, s.sampling, i))
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


def own_prompts(model: str, number: int) -> list[str]:
    """`number` held-out prompts of a bundled model, or its classes in turn.

    Raises ValueError if there are fewer, or none.
    """
    if model not in BUNDLED:
        raise ValueError(f"{model!r} has no prompts of its own: give a file of prompts with --prompts")
    if classes := classes_of(model):
        return [classes[i % len(classes)] for i in range(number)]
    every = held_out_prompts()
    if number > len(every):
        raise ValueError(f"there are {len(every)} prompts, got {number}: give a file of them")
    return [every[i * len(every) // number] for i in range(number)]


def usable(task: Task, chosen: Sequence[Decoder], replayed: bool) -> tuple[list[Decoder], list[ValueError]]:
    """The decoders that work with the model, and, if `replayed`, can follow traces; and the errors of the others."""
    good, errors = list[Decoder](), list[ValueError]()
    for decoder in chosen:
        try:
            run = replay.replayed(decoder, ()) if replayed else decoder
            bind(run, SessionInfo(task.settings.grid, task.model.network.codebook))
        except ValueError as error:
            errors.append(error)
        else:
            good.append(decoder)
    return good, errors
