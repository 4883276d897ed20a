"""Weights from a folder, or a clear word about what is wrong with them."""

import json
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

M = TypeVar("M", bound=PreTrainedModel)


def load_weights(kind: type[M], folder: Path, device: torch.device, dtype: torch.dtype) -> M:
    """The model of class `kind` in `folder`, on its device.

    Raises ValueError if a weight is missing, has the wrong shape or cannot be read: transformers would fill it with
    random numbers and go on.
    """
    try:
        model, info = kind.from_pretrained(folder, dtype=dtype, output_loading_info=True, local_files_only=True)
    except (SafetensorError, OSError, RuntimeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"cannot read the model in {folder}: {_line(error)}") from error
    for what in ("missing_keys", "mismatched_keys"):
        if info[what]:
            raise ValueError(f"{folder}: {what.replace('_', ' ')}: {', '.join(map(str, sorted(info[what])[:5]))}")
    return model.to(device)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
