"""The image side of Janus in few calls: codes are read from a table, and answered by two products."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.runtime.cpu.linear import Product

CODES = 2048  # so many at most are put through the embedding whenever a session is opened


class LeanHead:
    """Janus' head as it is now: hidden states [R, n, D] to logits [R, n, V]."""

    def __init__(self, head: Any):
        self.products = [Product([head.proj_out]), Product([head.vision_head])]
        self._activation, self.codes = head.activation_fn, head.vision_head.out_features

    def __call__(self, hidden: Tensor) -> Tensor:
        inner, outer = self.products
        logits = outer(self._activation(inner(hidden.flatten(0, 1))))
        return logits.view(*hidden.shape[:-1], -1)


def tabled(embed: Callable[[Tensor], Tensor], codes: int) -> Callable[[Tensor], Tensor]:
    """What `embed` makes of each of `codes` codes now, kept in a table if there are few; `embed` itself otherwise."""
    if codes > CODES:
        return embed
    table = embed(torch.arange(codes))  # [codes, D]
    return lambda tokens: F.embedding(tokens, table)
