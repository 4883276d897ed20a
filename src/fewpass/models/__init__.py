"""The model families, imported on demand."""

import importlib
import json
from pathlib import Path

import torch

from fewpass.models.base import Model

BUNDLED = {"emoji": Path(__file__).parent / "emoji" / "checkpoint"}
FAMILIES = {"janus": "fewpass.models.janus:Janus"}  # `model_type` of config.json -> where its class is


def load_model(name_or_folder: str | Path, device: torch.device, dtype: torch.dtype) -> Model:
    """The model in a folder, or a bundled one by its name.

    Raises ValueError if there is none, or none of a family that is known.
    """
    folder = BUNDLED.get(str(name_or_folder), Path(name_or_folder))
    config = folder / "config.json"
    if not config.is_file():
        raise ValueError(
            f"unknown model {str(name_or_folder)!r}: neither a bundled one ({', '.join(BUNDLED)})"
            " nor a folder with a config.json"
        )
    try:
        family = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{config} is not a model's configuration: {error}") from None
    if family not in FAMILIES:
        raise ValueError(f"{folder}: unknown model family {family!r}; known are {', '.join(FAMILIES)}")
    module, kind = FAMILIES[family].split(":")
    return getattr(importlib.import_module(module), kind).load(folder, str(name_or_folder), device, dtype)
