"""Pictures as the content of files, animations and URLs, and HTML that shows them."""

import io
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

TOTAL, LAST = 4000, 2000  # milliseconds: all frames of an animation but the last, and the last frame
SHORTEST = 30  # milliseconds of a frame; viewers do not show shorter ones


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as the content of a file; `options` are those of Pillow for this kind."""
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def gif(pictures: Sequence[Image.Image], blank: int) -> bytes:
    """Encode pictures as an animated GIF.

    All frames share the palette of the last picture and the grey level `blank`, which stands for missing parts.
    """
    palette = Image.new("P", (1, 1))
    colours = pictures[-1].quantize(255).getpalette() or []
    palette.putpalette([*colours[: 255 * 3], blank, blank, blank])
    first, *others = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    durations = [max(SHORTEST, TOTAL // len(pictures))] * len(others) + [LAST]
    return encoded(first, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def data_url(data: bytes, kind: str = "png") -> str:
    """The content of an image file as a URL that needs no server."""
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


def rendered(template: Path, **values: Any) -> str:
    """HTML from a template, in which values are escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template.name).render(values)
