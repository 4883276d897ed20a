"""Pictures as bytes, and bytes as text."""

import base64
import io
from typing import Any

from PIL import Image

from fewpass.io.png_metadata import png
from fewpass.serve.schema import Format


def encoded(image: Image.Image, form: Format, compression: int | None, settings: dict[str, Any] | None) -> str:
    """The image as a file in base64. A PNG carries the settings that draw it again, as those of the command line do."""
    if form == "png" and settings is not None:
        return base64.b64encode(png(image, settings)).decode()
    data = io.BytesIO()
    options = {} if form == "png" else {"quality": 100 if compression is None else compression}
    image.save(data, form, **options)
    return base64.b64encode(data.getvalue()).decode()
