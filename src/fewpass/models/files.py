"""The files of a checkpoint, read as data; an unreadable one is named in one line."""

import json
import re
import zipfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from reprlib import repr as brief
from typing import Any

import torch
from torch import Tensor
from transformers.utils import logging

SUFFIXES = (".json", ".safetensors", ".bin", ".pt", ".pth", ".model")
POINTER = b"version https://git-lfs.github.com/spec/"  # how a file begins that Git LFS has not replaced yet
LONGEST = 240  # characters of a message


@contextmanager
def reading(what: str, *places: Path) -> Iterator[None]:
    """Read a model without transformers' progress bars and reports, and refuse an unfit one in one line.

    Raises:
        ValueError: for an error of any kind, which unfit files and options cause; names `what` unless one of `places`
            is named already.
    """
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        text = str(error)
        if isinstance(error, ValueError) and "\n" not in text and any(str(place) in text for place in places):
            raise
        raise ValueError(f"{what}: {failure(error, *places)}") from error
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def failure(error: Exception, *places: Path) -> str:
    """Why files, or those in folders, could not be read, in one line: `error`, unless one of them is a stand-in."""
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in SUFFIXES and path.is_file() and _begins(path, POINTER):
                return f"{path.name} is a pointer of Git LFS, not the file itself: run `git lfs pull` in its folder"
    return one_line(error)


def _begins(path: Path, beginning: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def one_line(error: Exception) -> str:
    """The message of an error, cut to a line that can be read; its kind where the message alone says nothing."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    text = text if " " in text else f"{type(error).__name__} {text}".strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


LAYERS = ("num_hidden_layers", "depth", "num_res_blocks")
DEEPEST = 1000  # layers: a million takes minutes to build


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, whose values are checked where they are used.

    Raises:
        ValueError: The file cannot be read, or describes far too many layers; names the file.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a regular file")
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=_no_number, object_hook=_with_few_layers)
    except RecursionError:
        raise ValueError(f"cannot read {path}: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {failure(error, path)}") from None
    if not isinstance(content, dict):
        raise ValueError(f"cannot read {path}: it is not a JSON object")
    return content


def _with_few_layers(content: dict[str, Any]) -> dict[str, Any]:
    for name in LAYERS:
        if isinstance(number := content.get(name), int) and number > DEEPEST:
            raise ValueError(f"{name} must be at most {DEEPEST}, got {brief(number)}")
    return content


def _no_number(sign: str) -> float:
    raise ValueError(f"{sign} is not a number in JSON")


TORCH = (".pt", ".pth")
WRAPPED = re.compile(r"\b(?:_orig_mod|module)\.")  # torch.compile, DDP
PARTS = ("model", "module", "state_dict")  # where training scripts put the weights: DDP, DeepSpeed, others
HARMLESS: list[Any] = [Namespace]  # the options of a training script; nothing but attributes


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a file of `torch.save` by their names, whether they are the whole file or one part.

    Names lose the prefixes of torch.compile and parallel training.

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
