"""The settings inside a PNG file."""

import io
import json
import warnings
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

KEY = "fewpass"  # of the text chunk that holds the settings as JSON


def png(image: Image.Image, settings: dict[str, Any]) -> bytes:
    """Encode an image as a PNG file that holds `settings`."""
    info = PngInfo()
    info.add_text(KEY, json.dumps(settings))
    data = io.BytesIO()
    image.save(data, "PNG", pnginfo=info)
    return data.getvalue()


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read the settings of a file that `png` encoded. Raises ValueError if there are none."""
    try:
        settings = read_whole(Path(path))
    except FileNotFoundError:
        raise ValueError(f"there is no file {str(path)!r}") from None
    except (OSError, ValueError):
        settings = None
    if settings is None:
        raise ValueError(f"{str(path)!r} is not an image drawn by fewpass")
    return settings


def read_whole(path: Path) -> dict[str, Any] | None:
    """Decode a whole PNG file, and return its settings, None if it has none.

    Raises:
        ValueError: for an image that cannot be decoded.
        OSError: if the file cannot be read.
    """
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.load()
                settings = json.loads(image.info.get(KEY, "null"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(f"an image must have at most {Image.MAX_IMAGE_PIXELS} pixels") from None
    except (json.JSONDecodeError, RecursionError):
        return None
    except MemoryError:
        raise
    except Exception:  # Pillow raises all kinds
        raise ValueError("this is not a whole PNG file") from None
    return settings if isinstance(settings, dict) else None
