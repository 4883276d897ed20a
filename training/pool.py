"""Encoded scenes to train on: replaced during training, after each was used a few times."""

import numpy as np
import torch
from torch import Tensor
from transformers.models.janus.modeling_janus import JanusVQVAE

from training.scenes import Scene

from .encoder import encode_images
from .presets import Preset
from .render import paint, place
from .sampler import random_ids, random_scene


def pixels(scenes: list[Scene], preset: Preset, rng: np.random.Generator) -> Tensor:
    """One random image per scene, in -1..1 [B, 3, H, W]."""
    images = [paint(place(scene, preset, rng), scene.background, preset.image)[0] for scene in scenes]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


USES = 3  # times a scene is trained on before it is replaced


class Pool:
    """Prompts and tokens of `preset.pool` random scenes, the oldest replaced first."""

    def __init__(self, vq: JanusVQVAE, preset: Preset, rng: np.random.Generator):
        self.vq, self.preset, self.rng = vq, preset, rng
        self.prompts: list[list[int]] = []
        self.tokens: list[Tensor] = []
        self.oldest, self.used = 0, 0
        self.refresh(preset.scenes_per_refresh * 6)

    def refresh(self, number: int) -> None:
        """Draw and encode `number` fresh scenes."""
        scenes = [random_scene(self.rng) for _ in range(number)]
        tokens = encode_images(self.vq, pixels(scenes, self.preset, self.rng)).cpu()
        for scene, row in zip(scenes, tokens, strict=True):
            prompt, _ = random_ids(scene, self.rng)
            if len(self.prompts) < self.preset.pool:
                self.prompts.append(prompt)
                self.tokens.append(row)
            else:
                self.prompts[self.oldest], self.tokens[self.oldest] = prompt, row
                self.oldest = (self.oldest + 1) % self.preset.pool

    def group(self, number: int) -> tuple[Tensor, Tensor]:
        """Scenes whose prompts are equally long, so that no prompt is padded: ids [B, P] and tokens [B, N]."""
        self.used += number
        if self.used >= self.preset.scenes_per_refresh * USES:
            self.used = 0
            self.refresh(self.preset.scenes_per_refresh)
        length = len(self.prompts[self.rng.integers(len(self.prompts))])
        same = [i for i, prompt in enumerate(self.prompts) if len(prompt) == length]
        picked = self.rng.choice(same, number)
        return torch.tensor([self.prompts[i] for i in picked]), torch.stack([self.tokens[i] for i in picked])
