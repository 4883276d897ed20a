"""What an image says about itself."""

import io
import json
import os
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


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings in a file that `png` made. Raises ValueError if there are none, or it cannot be read."""
    try:
        with Image.open(os.fspath(path)) as image:
            return dict(json.loads(image.info[KEY]))
    except FileNotFoundError:
        raise ValueError(f"there is no file {str(path)!r}") from None
    except (OSError, KeyError, ValueError, TypeError, RecursionError, Image.DecompressionBombError):
        raise ValueError(f"{str(path)!r} is no PNG file with settings of fewpass") from None
