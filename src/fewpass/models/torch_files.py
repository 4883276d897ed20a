"""Weights in files of `torch.save`, read as data and never as code."""

import re
import zipfile
from argparse import Namespace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from fewpass.models.weights import failure

TORCH = (".pt", ".pth")
WRAPPED = re.compile(r"\b(?:_orig_mod|module)\.")  # torch.compile, DDP
PARTS = ("model", "module", "state_dict")  # where training scripts put the weights: DDP, DeepSpeed, others
HARMLESS: list[Any] = [Namespace]  # the options of a training script; nothing but attributes


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a file of `torch.save` by their names, whether they are all that is in it or one part.

    Names lose what torch.compile and parallel training put in front of them.

    They stay on disk until they are used. Raises ValueError if the file cannot be read, or has code in it.
    """
    try:
        with torch.serialization.safe_globals(HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            raise ValueError(f"{path} holds pickled code, {code[1]}, which fewpass does not run") from None
        why = failure(ValueError("it is not a file of torch.save"), path)
        raise ValueError(f"cannot read {path}: {why}") from None
    except Exception as error:  # a damaged file raises all kinds
        raise ValueError(f"cannot read {path}: {failure(error, path)}") from None
    part = next((content[part] for part in PARTS if part in content), content) if isinstance(content, dict) else None
    if not isinstance(part, dict) or not any(isinstance(value, Tensor) for value in part.values()):
        raise ValueError(f"{path} holds no weights")
    return {WRAPPED.sub("", str(name)): value for name, value in part.items() if isinstance(value, Tensor)}
