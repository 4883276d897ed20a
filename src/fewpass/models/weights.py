"""Weights of checkpoints, read as data; a missing, unfitting or unreadable one is named in one line."""

import re
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.utils import logging

M = TypeVar("M", bound=PreTrainedModel)
SUFFIXES = (".json", ".safetensors", ".bin", ".pt", ".pth", ".model")
POINTER = b"version https://git-lfs.github.com/spec/"  # how a file begins that Git LFS has not replaced yet
PER_BYTE = 4  # weights at most, however they are quantised
ABSENT = 2**27  # weights that a checkpoint may lack: an encoder of images
LONGEST = 240  # characters of a message
Mend = Callable[[PreTrainedModel, list[str]], list[str]]  # fill in weights of another shape; which are still wrong?


def load_weights(
    kind: type[M],
    folder: Path,
    files: Sequence[Path],
    device: torch.device,
    dtype: torch.dtype,
    options: dict[str, Any],
    absent: str | None = None,
    mend: Mend | None = None,
) -> M:
    """The model of class `kind` in `folder`, whose weights are in `files`, on its device unless `options` place it.

    Weights whose names begin with `absent` may be missing; `mend` may fill in weights of another shape.
    Raises ValueError if a weight is missing, has the wrong shape or cannot be read: transformers would fill it with
    random numbers without an error.
    """
    try:
        with _quiet():
            _check_size(kind, folder, files)
            model, info = kind.from_pretrained(
                folder,
                dtype=dtype,
                output_loading_info=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                **options,
            )
    except Exception as error:  # a configuration that does not fit raises all kinds
        raise ValueError(f"cannot read the model in {folder}: {failure(error, *files)}") from error
    missing = [name for name in info["missing_keys"] if absent is None or not name.startswith(absent)]
    wrong = [entry[0] if isinstance(entry, tuple) else entry for entry in info["mismatched_keys"]]
    if wrong and mend is not None:
        wrong = mend(model, wrong)
    for what, names in (("missing weights", missing), ("weights of the wrong shape", wrong)):
        if names:
            raise ValueError(f"{folder}: {what}: {', '.join(sorted(names)[:5])}")
    return _placed(model, device, options)


def _check_size(kind: type[PreTrainedModel], folder: Path, files: Sequence[Path]) -> None:
    """Raise ValueError if the model of config.json has far more weights than `files` can hold.

    transformers would set up the whole model before it compares: a width of a million takes all memory.
    """
    stored = sum(path.stat().st_size for path in files)
    with torch.device("meta"), no_init_weights():
        config = kind.config_class.from_pretrained(folder)
        needed = sum(w.numel() for w in kind._from_config(config, attn_implementation="sdpa").parameters())
    if needed > PER_BYTE * stored + ABSENT:
        raise ValueError(f"config.json describes a model of {needed} weights, which {stored} bytes cannot hold")


def build(
    kind: type[M],
    config: PreTrainedConfig,
    tensors: dict[str, Tensor],
    device: torch.device,
    dtype: torch.dtype,
    options: dict[str, Any],
) -> M:
    """The model of class `kind` out of weights that are here already, all of them, each in its shape."""
    try:
        with _quiet():
            model = kind.from_pretrained(None, config=config, state_dict=tensors, dtype=dtype, **options)
    except Exception as error:  # the errors of options depend on the installed packages
        raise ValueError(f"cannot build the model of {config.name_or_path}: {one_line(error)}") from error
    return _placed(model, device, options)


def _placed(model: M, device: torch.device, options: dict[str, Any]) -> M:
    return model if "device_map" in options or "quantization_config" in options else model.to(device)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar, which would stand in the middle of ours, and its report: ours is shorter."""
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def failure(error: Exception, *places: Path) -> str:
    """Why files, or those in folders, could not be read, in one line: `error`, unless one of them is a stand-in."""
    for place in places:
        for path in sorted(place.iterdir()) if place.is_dir() else [place]:
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
