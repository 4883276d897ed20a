"""Images for the VQ tokenizer: crops around objects, or whole scenes, with the weight of every pixel."""

import numpy as np
import torch
from torch import Tensor

from .presets import Preset
from .render import paint, place
from .sampler import random_scene

OBJECT_WEIGHT = 4.0  # loss weight of an object's pixel relative to a background pixel


def batch(preset: Preset, rng: np.random.Generator, number: int, side: int) -> tuple[Tensor, Tensor]:
    """Pixels in -1..1 [B, 3, side, side] and weights [B, 1, side, side]; crops hold at least a part of an object."""
    pixels, weights = [], []
    for _ in range(number):
        scene = random_scene(rng)
        placed = place(scene, preset, rng)
        image, covered = paint(placed, scene.background, preset.image)
        target = placed[rng.integers(len(placed))]
        x, y = (_crop(corner, target.size, side, preset, rng) for corner in (target.x, target.y))
        pixels.append(image[y : y + side, x : x + side])
        weights.append(covered[y : y + side, x : x + side])
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    w = 1 + (OBJECT_WEIGHT - 1) * torch.from_numpy(np.stack(weights)).float()[:, None]
    return x.to(memory_format=torch.channels_last), w / w.mean()


def _crop(corner: int, size: int, side: int, preset: Preset, rng: np.random.Generator) -> int:
    # a multiple of the 8 pixels of a token, so that objects are aligned with the tokens as in whole images
    start = corner + size / 2 - side / 2 + rng.uniform(-side / 3, side / 3)
    return int(np.clip(round(start / 8) * 8, 0, preset.image - side))
