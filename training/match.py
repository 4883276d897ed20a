"""The object in a box, by comparison with templates of the 86 emoji on the background of the image."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from training.scenes import Thing, vocabulary

from .segment import Box, box_of

SIDE = 16  # pixels of a template's side; larger pictures are averaged down to it
COLUMNS = 16  # of the atlas
CAP = 80.0  # upper limit of a pixel's difference, so that one wrong detail does not decide
SHORTLIST = 6
SIZES = (0.92, 1.0, 1.08)
SHIFTS = (-0.04, 0.0, 0.04)  # of the side


@dataclass(frozen=True)
class Match:
    """The nearest object, its distance from 0 (identical) to 1, and the centre and side of its square."""

    thing: Thing
    distance: float
    centre: tuple[float, float]
    size: float


@cache
def templates() -> np.ndarray:
    """Colours multiplied by alpha, and alpha: float32 [86, SIDE, SIDE, 4] in 0..1, in the vocabulary's order."""
    atlas = np.asarray(Image.open(Path(__file__).with_name("templates.png")).convert("RGBA"), np.float32) / 255
    tiles = atlas.reshape(-1, SIDE, COLUMNS, SIDE, 4).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 4)
    tiles = tiles[: len(vocabulary().things)].copy()
    tiles[..., :3] *= tiles[..., 3:]
    return tiles


@cache
def _extent(number: int) -> Box:
    """The box of the visible part, in units of the side."""
    return Box(*(edge / SIDE for edge in box_of(templates()[number, ..., 3] > 0.25)))


def identify(pixels: np.ndarray, background: np.ndarray, box: Box, colour: str) -> Match:
    """The object whose template fits the box best, among objects without the `colour` of the background."""
    candidates = [n for n, thing in enumerate(vocabulary().things) if thing.colour != colour]
    margin = max(pixels.shape[:2])
    image = ImageOps.expand(Image.fromarray(pixels), margin, tuple(int(level) for level in background.round()))
    tries = {n: _compare(image, margin, background, n, *_frame(n, box)) for n in candidates}
    shortlist = sorted(candidates, key=lambda n: tries[n].distance)[:SHORTLIST]
    refined = [_refine(image, margin, background, n, box) for n in shortlist]
    return min(refined, key=lambda match: match.distance)


def _frame(number: int, box: Box) -> tuple[float, float, float]:
    """Corner and side of the square in which the template's visible part covers the box."""
    extent = _extent(number)
    side = max(
        (box.right - box.left) / (extent.right - extent.left), (box.bottom - box.top) / (extent.bottom - extent.top)
    )
    (x, y), (u, v) = box.centre, extent.centre
    return x - u * side, y - v * side, side


def _refine(image: Image.Image, margin: int, background: np.ndarray, number: int, box: Box) -> Match:
    """The best of small changes of size, then of position: a blurred edge moves a box by a pixel or two."""
    x, y, side = _frame(number, box)
    resized = [(x + side * (1 - s) / 2, y + side * (1 - s) / 2, side * s) for s in SIZES]
    best = min((_compare(image, margin, background, number, *frame) for frame in resized), key=lambda m: m.distance)
    for _ in range(2):
        (x, y), side = best.centre, best.size
        moved = [(x + dx * side - side / 2, y + dy * side - side / 2, side) for dx in SHIFTS for dy in SHIFTS]
        best = min((_compare(image, margin, background, number, *frame) for frame in moved), key=lambda m: m.distance)
    return best


def _compare(
    image: Image.Image, margin: int, background: np.ndarray, number: int, x: float, y: float, side: float
) -> Match:
    window = (x + margin, y + margin, x + margin + side, y + margin + side)
    inside = (max(window[0], 0), max(window[1], 0), min(window[2], image.width), min(window[3], image.height))
    patch = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX, box=inside), np.float32)
    template = templates()[number]
    expected = template[..., :3] * 255 + background * (1 - template[..., 3:])
    error = np.minimum(np.abs(patch - expected).mean(-1), CAP).sum() / (template[..., 3].sum() * CAP)
    return Match(vocabulary().things[number], float(min(error, 1.0)), (x + side / 2, y + side / 2), side)
