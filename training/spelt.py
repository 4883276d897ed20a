"""Scenes to train on without an encoder: spelt out as they are asked for, never the same twice."""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from training.scenes import Scene

from .foresight import foresight, hindsight
from .render import place
from .sampler import random_ids, random_scene
from .spelling import Spelling


class Spelt:
    """An endless source of random scenes."""

    def __init__(self, spelling: Spelling, rng: np.random.Generator):
        self.spelling, self.rng = spelling, rng
        self.waiting: dict[int, list[tuple[Tensor, ...]]] = defaultdict(list)  # by the prompt's length

    def group(self, number: int) -> tuple[Tensor, ...]:
        """Scenes whose prompts are equally long, so that nothing is padded: ids [B, P], tokens [B, N], and what
        might have come instead of each, as `foresight` has it: tokens [B, N, K] and their probabilities."""
        while True:
            scene = random_scene(self.rng)
            ids, told = random_ids(scene, self.rng)
            scenes = self.waiting[len(ids)]
            scenes.append((torch.tensor(ids), *self._draw(scene, told)))
            if len(scenes) == number:
                del self.waiting[len(ids)]
                return tuple(torch.stack(each) for each in zip(*scenes, strict=True))

    def _draw(self, scene: Scene, told: bool) -> tuple[Tensor, ...]:
        placed = place(scene, self.spelling.preset, self.rng)
        tokens, blank = (self.spelling.tokens(items, scene.background) for items in (placed, []))
        # what may come without a prompt cannot be counted
        law = foresight(scene, placed, self.spelling) if told else hindsight(tokens.numpy(), blank.numpy())
        return tokens, *map(torch.from_numpy, law)
