"""Snapshots of a drawing for the page."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewpass.core.canvas import Grid
from fewpass.core.protocol import Decoder
from fewpass.demo.comparison import Stream
from fewpass.engine.result import record
from fewpass.io.png_metadata import png
from fewpass.viz.colours import colour, share
from fewpass.viz.encode import data_url, encoded

PREVIEW = 512  # largest side in pixels, for an unfinished picture


@dataclass(frozen=True)
class View:
    """The state of a drawing after some forward pass. Pictures are data: URLs, "" for none."""

    decoder: Decoder
    grid: Grid
    tokens: int = 0  # that are final
    passes: int = 0
    seconds: float = 0.0
    picture: str = ""
    heat: str = ""
    finished: bool = False

    def updated(self, stream: Stream) -> "View":
        """The state of the drawing now; a finished picture holds the settings that draw it again."""
        if self.finished:
            return self
        committed = stream.trace.committed[0].numpy()
        if stream.finished:
            result = stream.result()
            picture = data_url(png(result.images[0], record(result, 0)))
        else:
            picture = _preview(stream)
        return replace(
            self,
            tokens=int((committed > 0).sum()),
            passes=int(committed.max()),
            seconds=stream.trace.seconds,
            picture=picture,
            heat=data_url(heat(committed[self.grid.start :].reshape(self.grid.rows, self.grid.cols), self.grid.size)),
            finished=stream.finished,
        )


def heat(committed: NDArray[np.integer], slowest: int) -> bytes:
    """Encode the passes [rows, cols] that committed each token as a PNG of a pixel each, transparent where 0."""
    colours: NDArray[Any] = colour(share(np.maximum(committed, 1), slowest))
    alpha = np.where(committed > 0, 255, 0).astype(np.uint8)
    return encoded(Image.fromarray(np.dstack([colours, alpha])), compress_level=1)


def _preview(stream: Stream) -> str:
    """The picture with transparent pixels where tokens are not committed."""
    if stream.canvas is None:
        return ""
    picture, grid = stream.pipe.render(stream.canvas)[0], stream.job.grid
    final = stream.canvas.final[0, grid.start :].view(grid.rows, grid.cols).cpu().numpy()
    seen = final[:, : picture.width // (picture.height // grid.rows)]  # row ends are not pixels
    picture.putalpha(Image.fromarray(seen.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.NEAREST))
    picture.thumbnail((PREVIEW, PREVIEW))
    return data_url(encoded(picture, compress_level=1))
