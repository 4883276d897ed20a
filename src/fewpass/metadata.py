"""What an image says about itself."""

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

KEY = "fewpass"  # of the text chunk that holds the settings as JSON


def png(image: Image.Image, settings: dict[str, Any]) -> bytes:
    """The image as a PNG file that carries `settings`."""
    info = PngInfo()
    info.add_text(KEY, json.dumps(settings))
    data = io.BytesIO()
    image.save(data, "PNG", pnginfo=info)
    return data.getvalue()


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings in a file that `png` made. Raises ValueError if there are none."""
    try:
        with Image.open(path) as image:
            return json.loads(image.info[KEY])
    except (OSError, KeyError, ValueError):
        raise ValueError(f"{str(path)!r} is not an image drawn by fewpass") from None
