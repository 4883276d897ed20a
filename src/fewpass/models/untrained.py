"""Models of a given shape with random weights: good for measuring speed and memory, and for nothing else."""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from fewpass.models.weights import one_line

M = TypeVar("M", bound=PreTrainedModel)
SPREAD = 0.02  # of the weights; no pass takes longer or shorter for it


def shape_of(kind: type[PreTrainedModel], config: Mapping[str, Any], where: object = "") -> PreTrainedConfig:
    """The configuration that config.json, to be found `where`, describes. Raises ValueError if it describes none."""
    try:
        return kind.config_class.from_dict(dict(config))
    except Exception as error:  # a value of the wrong type raises all kinds
        what = f"cannot read {where}" if where else "no model can be built of this configuration"
        raise ValueError(f"{what}: {one_line(error)}") from error


def untrained_network(kind: type[M], config: Mapping[str, Any], device: torch.device, dtype: torch.dtype) -> M:
    """A model of class `kind` as config.json describes it. Raises ValueError if that describes none."""
    shape = shape_of(kind, config)
    try:
        with torch.device(device), no_init_weights():
            model = kind._from_config(shape, dtype=dtype, attn_implementation="sdpa")
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a configuration that does not fit raises all kinds
        raise ValueError(f"no model can be built of this configuration: {one_line(error)}") from error
    scatter(model)
    return model


@torch.no_grad()
def scatter(module: nn.Module) -> None:
    """Random numbers in all matrices, ones in the scales of norms, zeros in biases: nothing overflows."""
    chances: dict[torch.device, torch.Generator] = {}
    for name, weight in module.named_parameters():
        if weight.dim() > 1:
            chance = chances.setdefault(weight.device, torch.Generator(weight.device).manual_seed(0))
            weight.normal_(0, SPREAD, generator=chance)
        else:
            weight.fill_(0.0 if name.endswith("bias") else 1.0)
