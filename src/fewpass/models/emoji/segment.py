"""From an image to its background colour and the boxes of the things that stand out from it."""

from typing import NamedTuple

import numpy as np

STEP = 2  # components are found on every second pixel
CONTRASTS = (22.0, 44.0, 88.0)  # distances from the background's colour, of 442, that make a pixel part of something
REACH = 2  # parts closer than twice this many pixels (of 128) belong to one object: a cup and its steam
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
    """The colour most of the image has: the median around the fullest bin of a coarse histogram. float [3]."""
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
    reach = round(REACH * mask.shape[1] / 128 / STEP)
    seeds = mask[: mask.shape[0] // STEP * STEP, : mask.shape[1] // STEP * STEP]
    seeds = np.asarray(seeds.reshape(seeds.shape[0] // STEP, STEP, -1, STEP).any((1, 3)))
    labels = _label(_grow(seeds, reach))
    found = []
    for label in range(1, labels.max() + 1):
        part = (
            np.kron(labels == label, np.ones((STEP, STEP), bool))
            & mask[: labels.shape[0] * STEP, : labels.shape[1] * STEP]
        )
        if part.sum() > SPECK * mask.size:
            ys, xs = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
            found.append(Box(float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)))
    return found


def _grow(mask: np.ndarray, reach: int) -> np.ndarray:
    for _ in range(reach):
        padded = np.pad(mask, 1)
        near = (padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
        mask = np.logical_or.reduce(near)
    return mask


def _label(mask: np.ndarray) -> np.ndarray:
    """Numbers 1.. for the 4-connected parts, 0 elsewhere."""
    labels = np.zeros(mask.shape, int)
    for start in zip(*mask.nonzero(), strict=True):
        if labels[start]:
            continue
        number, queue = labels.max() + 1, [start]
        labels[start] = number
        while queue:
            y, x = queue.pop()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1]
                if inside and mask[near] and not labels[near]:
                    labels[near] = number
                    queue.append(near)
    return labels
