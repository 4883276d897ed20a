"""Convolutions whose weights lie well in memory: they are fastest where the channels of a pixel lie together."""

import torch
from torch import nn


def by_channels(model: nn.Module) -> None:
    """Turn the convolutions of a model over, in place."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.device.type == "cpu":
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
