"""Animated GIFs."""

import io
from collections.abc import Sequence

from PIL import Image

TOTAL, LAST = 4000, 2000  # milliseconds: all frames but the last, and the last frame
SHORTEST = 30  # milliseconds of a frame; viewers do not show shorter ones


def gif(pictures: Sequence[Image.Image], blank: int) -> bytes:
    """Encode pictures as an animation.

    All frames share the palette of the last picture and the grey level `blank`, which stands for missing parts.
    """
    palette = Image.new("P", (1, 1))
    colours = pictures[-1].quantize(255).getpalette() or []
    palette.putpalette([*colours[: 255 * 3], blank, blank, blank])
    first, *others = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    durations = [max(SHORTEST, TOTAL // len(pictures))] * len(others) + [LAST]
    data = io.BytesIO()
    first.save(data, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return data.getvalue()
