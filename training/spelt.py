"""Scenes to train on without an encoder: spelt out as they are asked for, never the same twice."""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from .sampler import random_prompt, random_scene
from .spelling import Spelling
from .words import encode


class Spelt:
    """An endless source of random scenes."""

    def __init__(self, spelling: Spelling, rng: np.random.Generator):
        self.spelling, self.rng = spelling, rng
        self.waiting: dict[int, list[tuple[list[int], Tensor]]] = defaultdict(list)  # by the prompt's length

    def group(self, number: int) -> tuple[Tensor, Tensor]:
        """Scenes whose prompts are equally long, so that nothing is padded: ids [B, P] and tokens [B, N]."""
        while True:
            scene = random_scene(self.rng)
            ids = encode(random_prompt(scene, self.rng))
            scenes = self.waiting[len(ids)]
            scenes.append((ids, self.spelling.spell(scene, self.rng)))
            if len(scenes) == number:
                del self.waiting[len(ids)]
                return torch.tensor([i for i, _ in scenes]), torch.stack([tokens for _, tokens in scenes])
