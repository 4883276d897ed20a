"""Weights from a folder, or a clear word about what is wrong with them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

M = TypeVar("M", bound=PreTrainedModel)
Mend = Callable[[PreTrainedModel, list[str]], list[str]]  # fill in weights of another shape; which are still wrong?


def load_weights(
    kind: type[M],
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    options: dict[str, Any],
    absent: str | None = None,
    mend: Mend | None = None,
) -> M:
    """The model of class `kind` in `folder`, on its device unless `options` place it.

    Weights whose names begin with `absent` may be missing; `mend` may fill in those that have another shape.
    Raises ValueError if a weight is missing, has the wrong shape or cannot be read: transformers would fill it with
    random numbers and go on.
    """
    try:
        with _quiet():
            model, info = kind.from_pretrained(
                folder,
                dtype=dtype,
                output_loading_info=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                **options,
            )
    except Exception as error:  # a configuration that does not fit raises all kinds
        raise ValueError(f"cannot read the model in {folder}: {one_line(error)}") from error
    missing = [name for name in info["missing_keys"] if absent is None or not name.startswith(absent)]
    wrong = [entry[0] if isinstance(entry, tuple) else entry for entry in info["mismatched_keys"]]
    if wrong and mend is not None:
        wrong = mend(model, wrong)
    for what, names in (("missing weights", missing), ("weights of the wrong shape", wrong)):
        if names:
            raise ValueError(f"{folder}: {what}: {', '.join(sorted(names)[:5])}")
    return _placed(model, device, options)


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
    except Exception as error:  # what options raise depends on what is installed
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


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
