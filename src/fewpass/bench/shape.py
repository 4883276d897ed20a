"""Models of a given shape with random weights."""

from pathlib import Path
from typing import Any

import torch

from fewpass.core.messages import meant
from fewpass.io.atomic import located
from fewpass.models import untrained_model
from fewpass.models.base import Model
from fewpass.models.files import read_json
from fewpass.models.hub import DESCRIPTIONS, fetch

SHAPES = Path(__file__).parent / "shapes"  # config.json of published models, by name
PART = "vision_language_encoder"  # folder of the autoregressive model in a pipeline of diffusers


def shape_names() -> list[str]:
    """The published shapes."""
    return sorted(path.stem for path in SHAPES.glob("*.json"))


def read_shape(source: str) -> dict[str, Any]:
    """Read the config.json of `source`: a published shape, a file, a folder or a repository of the hub.

    Raises ValueError if there is none.
    """
    known, path = SHAPES / f"{source}.json", located(source)
    if source in shape_names():
        return read_json(known)
    if path.is_file():
        return read_json(path)
    folder = path if path.is_dir() else fetch(source, None, False, DESCRIPTIONS)
    for inside in () if folder is None else (folder, folder / PART):
        if (inside / "config.json").is_file():
            return read_json(inside / "config.json")
    raise ValueError(
        f"there is no config.json in {source!r}{meant(source, shape_names())}; give a file, a folder, a repository, or"
        f" one of {', '.join(shape_names())}"
    )


def untrained(source: str, device: torch.device, dtype: torch.dtype) -> Model:
    """Build a model of the shape `source` with random weights. Raises ValueError for a shape not supported."""
    return untrained_model(read_shape(source), Path(source).name.removesuffix(".json"), device, dtype)
