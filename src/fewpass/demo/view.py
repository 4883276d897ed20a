"""Snapshots of a drawing for the page."""

import io
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewpass.core.canvas import Grid
from fewpass.core.protocol import Decoder
from fewpass.decoders.recipes import decoder as decoder_of
from fewpass.demo.drawing import Stream
from fewpass.engine.result import record
from fewpass.io.png_metadata import png
from fewpass.pipeline import Pipeline
from fewpass.viz.colour_scale import colour, share

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

    @classmethod
    def pair(cls, pipe: Pipeline, other: str) -> list["View"]:
        """`ar` and another decoder before the first pass."""
        return [cls(decoder_of(name), pipe.model.grid(None)) for name in ("ar", other)]


class Panel:
    """Takes views of one drawing. Their seconds are those of its passes, without the making of previews."""

    def __init__(self, stream: Stream):
        self.stream = stream
        self._last: View | None = None

    def view(self) -> View:
        """The state now; a finished picture holds the settings that draw it again."""
        if self._last is not None and self._last.finished:
            return self._last
        stream, seconds = self.stream, self.stream.trace.seconds
        committed, grid = stream.trace.committed[0].numpy(), stream.job.grid
        if stream.finished:
            result = stream.result()
            picture = png(result.images[0], record(result, 0))
        else:
            picture = _preview(stream)
        self._last = View(
            stream.job.decoder,
            grid,
            tokens=int((committed > 0).sum()),
            passes=int(committed.max()),
            seconds=seconds,
            picture=_url(picture) if picture else "",
            heat=_url(heat(committed[grid.start :].reshape(grid.rows, grid.cols), grid.size)),
            finished=stream.finished,
        )
        return self._last


def heat(committed: NDArray[np.integer], slowest: int) -> bytes:
    """Encode the passes [rows, cols] that committed each token as a PNG of a pixel each, transparent where 0."""
    colours: NDArray[Any] = colour(share(np.maximum(committed, 1), slowest))
    alpha = np.where(committed > 0, 255, 0).astype(np.uint8)
    return _png(Image.fromarray(np.dstack([colours, alpha])))


def _preview(stream: Stream) -> bytes:
    """The picture with transparent pixels where tokens are not committed."""
    if stream.canvas is None:
        return b""
    picture, grid = stream.pipe.render(stream.canvas)[0], stream.job.grid
    final = stream.canvas.final[0, grid.start :].view(grid.rows, grid.cols).cpu().numpy()
    seen = final[:, : picture.width // (picture.height // grid.rows)]  # row ends are not pixels
    picture.putalpha(Image.fromarray(seen.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.NEAREST))
    picture.thumbnail((PREVIEW, PREVIEW))
    return _png(picture)


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()


def _url(data: bytes) -> str:
    return f"data:image/png;base64,{b64encode(data).decode()}"
