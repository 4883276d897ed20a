"""Scenes composed of the tokens of their objects: each object is encoded once, and its tokens are copied.

The encoder gives an object slightly different tokens at each position, and chooses among nearly equal codes for a flat
background. These differences are invisible, but a small model is trained to predict them. With one set of tokens per
object, size and background, positions are the only random part of a scene. Composing is also a thousand times faster
than encoding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from transformers.models.janus.modeling_janus import JanusVQVAE

from training.scenes import Scene, vocabulary

from .encoder import encode_images
from .presets import CELL, Preset
from .render import Placed, paint, place

EMPTY = "empty"


@dataclass
class ObjectTokens:
    """The squares of tokens that objects cover, by background, object and size; composes scenes of them."""

    preset: Preset
    squares: dict[str, np.ndarray]

    @classmethod
    def cached(cls, vq: JanusVQVAE, preset: Preset, folder: Path) -> Self:
        """Load the tokens from the folder of a run, or encode the objects and save them there: some minutes."""
        file = folder / "object_tokens.npz"
        if not file.exists():
            np.savez(file.with_suffix(".new.npz"), **dict(_encoded(vq, preset)))
            file.with_suffix(".new.npz").rename(file)
        with np.load(file) as squares:
            return cls(preset, dict(squares))

    def random_image(self, scene: Scene, rng: np.random.Generator) -> Tensor:
        """Tokens [rows * cols] of a random image of the scene."""
        return self.compose(place(scene, self.preset, rng), scene.background)

    def compose(self, placed: list[Placed], background: str) -> Tensor:
        """Tokens [rows * cols] of the image that `render.paint` would paint."""
        tokens = self.squares[_name(background, EMPTY)].copy()
        for item in placed:
            tokens[square(item.x, item.y, item.size)] = self.squares[_name(background, item.thing.name, item.size)]
        return torch.from_numpy(tokens).flatten()


def _name(background: str, thing: str, size: int = 0) -> str:
    return f"{background} {thing} {size}"


def _encoded(vq: JanusVQVAE, preset: Preset) -> Iterator[tuple[str, np.ndarray]]:
    for background in tqdm(vocabulary().backgrounds, "objects encoded", leave=False):
        yield _name(background, EMPTY), _encode(vq, [], background, preset)
        for placed in _alone(background, preset):
            tokens = _encode(vq, placed, background, preset)
            for item in placed:
                yield _name(background, item.thing.name, item.size), tokens[square(item.x, item.y, item.size)]


def _alone(background: str, preset: Preset) -> Iterator[list[Placed]]:
    """All objects that can be on a background in all sizes: alone for sizes of single objects, otherwise in pairs."""
    things = [thing for thing in vocabulary().things if thing.colour != background]
    for size in set(preset.one) - set(preset.many):
        middle = (preset.image - size) // 2 // CELL * CELL
        yield from ([Placed(thing, middle, middle, size)] for thing in things)
    for size in preset.many:
        near, far = CELL * 2, preset.image - size - CELL * 2
        for start in range(0, len(things), 2):
            yield [Placed(t, p, p, size) for t, p in zip(things[start : start + 2], (near, far), strict=False)]


def square(x: int, y: int, size: int) -> tuple[slice, slice]:
    """Rows and columns of the tokens that a square of pixels covers."""
    row, col, side = y // CELL, x // CELL, size // CELL
    return slice(row, row + side), slice(col, col + side)


def _encode(vq: JanusVQVAE, placed: list[Placed], background: str, preset: Preset) -> np.ndarray:
    image = torch.from_numpy(paint(placed, background, preset.image)[0])
    pixels = image[None].permute(0, 3, 1, 2).float() / 127.5 - 1
    return encode_images(vq, pixels)[0].view(preset.rows, preset.rows).cpu().numpy()
