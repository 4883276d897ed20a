"""Segmentation of an image: the colour of its background, and the boxes of its objects."""

from typing import NamedTuple

import numpy as np

STEP = 2  # components are found on every second pixel
CONTRASTS = (22.0, 44.0, 88.0)  # least distances of an object from the background; 442 is that of black and white
REACH = 2  # parts closer than twice this many pixels (of 128) are one object, such as a cup and its steam
SPECK = 0.002  # share of the image below which a part is a blemish


class Box(NamedTuple):
    """Pixels left <= x < right, top <= y < bottom."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def background_colour(pixels: np.ndarray) -> np.ndarray:
    """The most frequent colour: the median around the fullest bin of a coarse histogram. float [3]."""
    flat = pixels.reshape(-1, 3).astype(np.float32)
    bins = (flat // 32).astype(int) @ np.array([64, 8, 1])
    fullest = flat[bins == np.bincount(bins).argmax()].mean(0)
    near = flat[np.abs(flat - fullest).max(1) < 32]
    return np.median(near, axis=0)


def contrast(pixels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Distance from the background's colour, float [H, W], after a 3 x 3 mean that removes single noisy pixels."""
    difference = pixels.astype(np.float32) - background
    padded = np.pad(difference, ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = difference.shape[:2]
    mean = np.mean([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    return np.sqrt((mean**2).sum(-1))


def boxes(mask: np.ndarray) -> list[Box]:
    """One box per object in the mask."""
    height, width = (side // STEP * STEP for side in mask.shape)
    mask, reach = mask[:height, :width], round(REACH * mask.shape[1] / 128 / STEP)
    coarse: np.ndarray = np.asarray(mask.reshape(height // STEP, STEP, -1, STEP).any((1, 3)))
    for _ in range(reach):
        coarse = np.asarray(_with_neighbours(coarse, False).any(0))
    parts = [part.repeat(STEP, 0).repeat(STEP, 1) & mask for part in _components(coarse)]
    return [box_of(part) for part in parts if part.sum() > SPECK * mask.size]


def box_of(part: np.ndarray) -> Box:
    """The smallest box around the pixels of a mask."""
    ys, xs = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    return Box(float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1))


def _components(mask: np.ndarray) -> list[np.ndarray]:
    """A mask for each 4-connected component, in raster order; the lowest label spreads to neighbouring pixels."""
    before, numbers = None, np.where(mask, np.arange(mask.size).reshape(mask.shape), mask.size)
    while before is None or (numbers != before).any():
        before, numbers = numbers, np.where(mask, _with_neighbours(numbers, mask.size).min(0), mask.size)
    return [numbers == number for number in np.unique(numbers[mask])]


def _with_neighbours(grid: np.ndarray, edge: int) -> np.ndarray:
    """A grid and its shifts by one in all four directions: [5, H, W]."""
    padded = np.pad(grid, 1, constant_values=edge)
    return np.stack([grid, padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
