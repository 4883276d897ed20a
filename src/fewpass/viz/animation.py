"""The drawing as it grew."""

import io
from collections.abc import Callable

from PIL import Image

from fewpass.core.canvas import Canvas
from fewpass.pipeline import BLANK, Pipeline

WHOLE, LAST = 4000, 2000  # milliseconds: all frames together, and how long the finished image stays
FASTEST = 30  # what viewers can show


class Film:
    """Remembers one image after every pass; the pictures are made afterwards, so that they cost the drawing no time."""

    def __init__(self) -> None:
        self.canvases: list[Canvas] = []

    def watch(self, also: Callable[[Canvas], object]) -> Callable[[Canvas], object]:
        """What is to be called with the canvas after every pass; it calls `also` too."""

        def remember(canvas: Canvas) -> object:
            self.canvases.append(canvas.select(canvas.length.new_zeros(1)))
            return also(canvas)

        return remember

    def gif(self, pipe: Pipeline) -> bytes:
        """An animated GIF of a frame per pass, grey where a token was not final."""
        pictures = [pipe.render(canvas)[0] for canvas in self.canvases]
        palette = Image.new("P", (1, 1))
        colours = pictures[-1].quantize(255).getpalette() or []
        palette.putpalette([*colours[: 255 * 3], BLANK, BLANK, BLANK])
        frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
        each = max(FASTEST, WHOLE // len(frames))
        data = io.BytesIO()
        frames[0].save(
            data,
            "GIF",
            save_all=True,
            append_images=frames[1:],
            duration=[each] * (len(frames) - 1) + [LAST],
            loop=0,
        )
        return data.getvalue()
