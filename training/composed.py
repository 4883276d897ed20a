"""Random scenes to train on, composed of the tokens of objects, without calling the encoder."""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from training.scenes import Scene

from .next_token import next_token_distribution, observed_token
from .object_tokens import ObjectTokens
from .render import place
from .sampler import random_ids, random_scene


class ComposedScenes:
    """Batches of random scenes, each used once."""

    def __init__(self, object_tokens: ObjectTokens, rng: np.random.Generator):
        self.object_tokens, self.rng = object_tokens, rng
        self.waiting: dict[int, list[tuple[Tensor, ...]]] = defaultdict(list)  # by the prompt's length

    def group(self, number: int) -> tuple[Tensor, ...]:
        """Scenes whose prompts are equally long, so that no prompt is padded.

        Returns:
            Ids [B, P], tokens [B, N], and candidates and probabilities of `next_token_distribution` [B, N, K].
        """
        while True:
            scene = random_scene(self.rng)
            ids, conditional = random_ids(scene, self.rng)
            scenes = self.waiting[len(ids)]
            scenes.append((torch.tensor(ids), *self._draw(scene, conditional)))
            if len(scenes) == number:
                del self.waiting[len(ids)]
                return tuple(torch.stack(each) for each in zip(*scenes, strict=True))

    def _draw(self, scene: Scene, conditional: bool) -> tuple[Tensor, ...]:
        placed = place(scene, self.object_tokens.preset, self.rng)
        tokens, blank = (self.object_tokens.compose(items, scene.background) for items in (placed, []))
        # the distribution without a prompt, over all scenes, is not counted
        if conditional:
            target = next_token_distribution(scene, placed, self.object_tokens)
        else:
            target = observed_token(tokens.numpy(), blank.numpy())
        return tokens, *map(torch.from_numpy, target)
