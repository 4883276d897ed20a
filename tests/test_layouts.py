"""Weights in another layout make the same pixels."""

import torch
from torch import nn

import fewpass


def test_convolutions_lie_by_channels_and_make_the_same_pixels(folder):
    pipeline = fewpass.load(folder)
    wrapped = fewpass.wrap(type(pipeline.model.model).from_pretrained(folder))
    codes = torch.arange(16)[None]
    shown, due = (pipe.model.pixels(codes, pipe.model.grid(None)).int() for pipe in (pipeline, wrapped))
    assert (shown - due).abs().max() <= 1  # rounding
    assert shown.float().std() > 1
    weights = [
        [module.weight for module in pipe.model.model.modules() if isinstance(module, nn.Conv2d)]
        for pipe in (pipeline, wrapped)
    ]
    mine, own = ([w.stride(1) == 1 for w in each if w.shape[1] > 1 and w.shape[-1] > 1] for each in weights)
    assert all(mine)
    assert not any(own)
