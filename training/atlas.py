"""The scorer's templates: every emoji, small, in one picture.  python -m training.atlas"""

from pathlib import Path

import numpy as np
from PIL import Image

from training.scenes import vocabulary

from . import match
from .render import sprite


def main() -> None:
    tiles = [sprite(thing.emoji, match.SIDE) for thing in vocabulary().things]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % match.COLUMNS)
    atlas = np.stack(tiles).reshape(-1, match.COLUMNS, match.SIDE, match.SIDE, 4).swapaxes(1, 2)
    atlas = atlas.reshape(-1, match.COLUMNS * match.SIDE, 4)
    colour = atlas[..., :3] / np.maximum(atlas[..., 3:], 1e-6)  # PNG keeps colours that are not multiplied by alpha
    pixels = (np.concatenate([colour, atlas[..., 3:]], axis=-1).clip(0, 1) * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(Path(match.__file__).with_name("templates.png"), optimize=True)


if __name__ == "__main__":
    main()
