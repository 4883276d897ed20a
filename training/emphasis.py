"""Where an image says what it shows: the tokens in which an object comes into sight.

Once its first tokens are there, the rest of an object follows from them; so its name decides one token in a hundred,
and is learned last. Weighted tokens leave the law that fits best as it is, and bring its names forward.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from .presets import CELL, Preset
from .render import Placed, sprite

WEIGHT = 8.0  # of those tokens, where every other has 1
ROWS = 2  # rows of tokens in which an object comes into sight


def emphasis(placed: list[Placed], preset: Preset) -> Tensor:
    """The weight of every token in the loss, [rows * cols]."""
    weights = torch.ones(preset.rows, preset.rows)
    for item in placed:
        top = (item.y + _first_row(item.thing.emoji, item.size)) // CELL
        weights[top : top + ROWS, item.x // CELL : (item.x + item.size - 1) // CELL + 1] = WEIGHT
    return weights.flatten()


@cache
def _first_row(emoji: str, size: int) -> int:
    """The first row of pixels in which the emoji is seen."""
    return int(np.argmax((sprite(emoji, size)[..., 3] > 0.5).any(axis=1)))
