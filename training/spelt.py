"""Scenes to train on without an encoder: spelt out as they are asked for, never the same twice."""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from .render import place
from .sampler import random_prompt, random_scene
from .spelling import Spelling
from .words import encode


class Spelt:
    """An endless source of random scenes."""

    def __init__(self, spelling: Spelling, rng: np.random.Generator):
        self.spelling, self.rng = spelling, rng
        self.waiting: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = defaultdict(list)  # by the prompt's length

    def group(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Scenes whose prompts are equally long, so that nothing is padded: ids [B, P], tokens and blanks [B, N]."""
        while True:
            scene = random_scene(self.rng)
            ids = encode(random_prompt(scene, self.rng))
            placed = place(scene, self.spelling.preset, self.rng)
            tokens = self.spelling.tokens(placed, scene.background)
            scenes = self.waiting[len(ids)]
            scenes.append((torch.tensor(ids), tokens, self.spelling.tokens([], scene.background)))
            if len(scenes) == number:
                del self.waiting[len(ids)]
                ids_, tokens_, blanks = zip(*scenes, strict=True)
                return torch.stack(ids_), torch.stack(tokens_), torch.stack(blanks)
