"""Models of a given shape with random weights: good for measuring speed and memory, and for nothing else."""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

M = TypeVar("M", bound=PreTrainedModel)
SPREAD = 0.02  # of the weights; no pass takes longer or shorter for it


def untrained_network(kind: type[M], config: Mapping[str, Any], device: torch.device, dtype: torch.dtype) -> M:
    """A model of class `kind` as config.json describes it."""
    with torch.device(device), no_init_weights():
        model = kind._from_config(kind.config_class.from_dict(dict(config)), dtype=dtype, attn_implementation="sdpa")
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
