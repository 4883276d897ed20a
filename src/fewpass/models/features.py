"""Features of images, 64 numbers each, between which distances of sets of images are measured.

Each bundled model has a small network that was trained to name the contents of its images: see `training/features.py`
and `training/photo/features.py`.
"""

from pathlib import Path
from typing import Self

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from fewpass.models.zoo import BUNDLED

FILE = "features.safetensors"
SIDE = 64  # pixels; images of other sizes are scaled
STRIDES = (2, 2, 2, 1)


class ImageFeatures(nn.Module):
    """Images [B, 3, H, W] uint8 to features [B, 64] float32; `widths` are the channels of the convolutions."""

    num_features = 64

    def __init__(self, *widths: int) -> None:
        super().__init__()
        layers = list[nn.Module]()
        for before, after, stride in zip((3, *widths[:-1]), widths, STRIDES, strict=True):
            layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU()]
        flat = nn.Linear(4 * widths[-1], self.num_features)
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), flat)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The trained network of a file, on the CPU, in float32."""
        weights = load_file(path)
        network = cls(*(len(weights[f"body.{3 * step}.weight"]) for step in range(len(STRIDES))))
        network.load_state_dict(weights)
        return network.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of the images."""
        pixels = images.float() / 127.5 - 1
        if pixels.shape[-2:] != (SIDE, SIDE):
            pixels = F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        return self.body(pixels)


def features_file(model: str) -> Path | None:
    """The weights for a bundled model by its name, or those in the folder of another model; None without a file."""
    folder = Path(__file__).parent if model in BUNDLED else Path()
    path = folder / model / FILE
    return path if path.is_file() else None
