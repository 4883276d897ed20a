"""Pipelines of models from a folder, from the hub, or loaded already."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from fewpass.models import load_model, wrap_model
from fewpass.models.base import Model
from fewpass.pipeline import Pipeline
from fewpass.runtime.cpu import fast
from fewpass.runtime.device import by_channels, chosen_device, chosen_dtype
from fewpass.runtime.transformer import check_attention


def load(
    name_or_folder: str | Path,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    *,
    device_map: str | dict[str, Any] | None = None,
    quantization_config: object = None,
    attn_implementation: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    compile: bool = False,
) -> Pipeline:
    """The model called `name_or_folder`, ready to draw.

    `emoji` and `photo` are the bundled models; anything else is a folder in transformers' format, LlamaGen's `.pt`
    files in a folder or one of them, or a repository of the hub, whose `revision` is downloaded unless
    `local_files_only`. `device` is "cpu" or "cuda", None for the GPU if there is one; `dtype` None is float32 on the
    CPU and bfloat16 on a GPU. `device_map`, `quantization_config` and `attn_implementation` ("sdpa" or "eager") go to
    transformers' `from_pretrained`; the first two place the weights. That of config.json gives way to "sdpa". `compile`
    has `torch.compile` make graphs of the passes, for up to a minute when each is first needed; where that cannot be
    done, a warning says so.

    Raises ValueError naming in one line a missing part, or a value that is not supported.
    """
    if device is not None and device_map is not None:
        raise ValueError("give device or device_map, not both")
    where = chosen_device(device)
    attention = attn_implementation or "sdpa"
    check_attention(attention)
    given = {
        "device_map": device_map,
        "quantization_config": quantization_config,
        "attn_implementation": attention,
    }
    options = {name: value for name, value in given.items() if value is not None}
    model = load_model(str(name_or_folder), where, chosen_dtype(dtype, where), options, revision, local_files_only)
    by_channels(model.model)
    return _pipeline(model, compile)


def wrap(model: PreTrainedModel, processor: object = None, *, compile: bool = False) -> Pipeline:
    """A model that transformers has loaded already (quantised, sharded, fine-tuned), ready to draw.

    `processor` is its processor or tokenizer; without one, prompts are tensors of token ids. The model is shared, not
    copied, and set to evaluation mode. One that is wrapped by peft is used with its adapters. `compile` is as in
    `load`.

    Raises ValueError for a family that is not known.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    return _pipeline(wrap_model(model, tokenizer), compile)


def _pipeline(model: Model, compile: bool) -> Pipeline:
    if compile:
        from fewpass.runtime.compiled import compiled  # loads much of torch that nothing else needs

        model.network = compiled(model.network)
    else:
        model.network = fast(model.network)
    return Pipeline(model)
