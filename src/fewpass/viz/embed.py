"""Pictures inside HTML, and HTML from templates."""

import io
from base64 import b64encode
from pathlib import Path
from typing import Any

from PIL import Image


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as the content of a file; `options` are those of Pillow for this kind."""
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


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
