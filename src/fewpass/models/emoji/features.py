"""Features of scenes, 64 numbers: a small network that was trained to name the contents of rendered scenes.

Distances between images are measured on these features. `training/features.py` made the weights.
"""

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from .scenes import vocabulary

SIDE = 64  # pixels; images of other sizes are scaled
WEIGHTS = Path(__file__).with_name("features.safetensors")


class SceneFeatures(nn.Module):
    """Images [B, 3, H, W] uint8 to features [B, 64] float32."""

    num_features = 64

    def __init__(self) -> None:
        super().__init__()
        steps = ((3, 24, 2), (24, 48, 2), (48, 96, 2), (96, 96, 1))
        layers = [layer for step in steps for layer in _step(*step)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * 96, self.num_features))

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.float() / 127.5 - 1
        if pixels.shape[-2:] != (SIDE, SIDE):
            pixels = F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        return self.body(pixels)


class SceneNamer(nn.Module):
    """The features and their training targets.

    Logits of the background [B, 10], of the number of objects [B, 4], and of each thing's presence [B, 86].
    """

    def __init__(self) -> None:
        super().__init__()
        words = vocabulary()
        self.features = SceneFeatures()
        self.sizes = (len(words.backgrounds), 1 + len(words.count_words), len(words.things))
        self.head = nn.Linear(self.features.num_features, sum(self.sizes))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.head(self.features(images).relu()).split(self.sizes, -1)


def _step(before: int, after: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU()]


@cache
def scene_features() -> SceneFeatures:
    """The trained network, on the CPU."""
    network = SceneFeatures()
    network.load_state_dict(load_file(WEIGHTS))
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def features_of(images: Tensor) -> Tensor:
    """Features [B, 64] of images [B, 3, H, W] uint8."""
    return torch.cat([scene_features()(chunk) for chunk in images.split(64)])
