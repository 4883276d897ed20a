"""Random crops of the subjects, at five scales, flipped and with mild changes of colour."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .subjects import SUBJECTS, Subject

SIDE = 128  # pixels of a crop
SCALES = (1.0, 0.7, 0.5, 0.35, 0.25)  # of the shorter side of a subject's box
LEAST = 100  # least side of a crop in pixels of the photograph: smaller ones would be blurred
HELD_OUT = 0.2  # share of a box, at its right edge, that is never trained on


@dataclass(frozen=True, eq=False)
class View:
    """A subject resized to one scale: uint8 [H, W, 3]; the columns from `edge` on are held out."""

    pixels: np.ndarray
    edge: int

    @property
    def trains(self) -> bool:
        return self.edge >= SIDE

    def crop(self, rng: np.random.Generator, side: int = SIDE, held_out: bool = False) -> np.ndarray:
        """A random crop [side, side, 3]."""
        height, width = self.pixels.shape[:2]
        left, right = (self.edge, width) if held_out else (0, self.edge)
        y, x = rng.integers(0, height - side + 1), rng.integers(left, right - side + 1)
        return self.pixels[y : y + side, x : x + side]


class Crops:
    """Crops of all subjects out of a folder of pictures."""

    def __init__(self, folder: Path):
        self.views = [_views(subject, folder) for subject in SUBJECTS]

    def batch(self, rng: np.random.Generator, count: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
        """Pixels [count, 3, side, side] in -1..1 and their classes [count]."""
        labels = rng.integers(0, len(SUBJECTS), count)
        crops = []
        for label in labels:
            views = [view for view in self.views[label] if view.trains]
            crops.append(_varied(views[rng.integers(len(views))].crop(rng, side), rng))
        return _signed(np.stack(crops)), torch.from_numpy(labels)

    def held_out(self, count: int, seed: int = 7) -> tuple[Tensor, Tensor]:
        """Crops that are never trained on, always the same, the subjects in turn."""
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % len(SUBJECTS)
        crops = np.stack([self.views[label][-1].crop(rng, held_out=True) for label in labels])
        return _signed(crops.astype(np.float32)), torch.from_numpy(labels)


def _views(subject: Subject, folder: Path) -> list[View]:
    """A subject at all its scales, from the coarsest to the finest."""
    picture = Image.open(folder / f"{subject.photograph}.png").convert("RGB")
    box = [round(share * side) for share, side in zip(subject.box, (*picture.size, *picture.size), strict=True)]
    part = picture.crop(tuple(box))
    scales = [scale for scale in SCALES if scale * min(part.size) >= LEAST]
    finest = SIDE / scales[-1] / min(part.size)
    strip = max(HELD_OUT, (SIDE + 8) / (part.width * finest))
    views = []
    for scale in scales:
        factor = SIDE / scale / min(part.size)
        size = (max(SIDE, round(part.width * factor)), max(SIDE, round(part.height * factor)))
        views.append(View(np.asarray(part.resize(size, Image.Resampling.LANCZOS)), int(size[0] * (1 - strip))))
    return views


def _varied(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirrored half of the time; brightness, contrast and colour balance change a little."""
    x = crop[:, ::-1] if rng.random() < 0.5 else crop
    gain = 1 + rng.normal(0, 0.04) + rng.normal(0, 0.02, 3)
    return (x.astype(np.float32) - 128) * gain.astype(np.float32) + 128 + np.float32(rng.normal(0, 5))


def _signed(crops: np.ndarray) -> Tensor:
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(127.5).sub_(1).clamp_(-1, 1).contiguous()
