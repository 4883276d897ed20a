"""Linear layers with weights in oneDNN's own layout.

BLAS packs the weights anew in every call, which for the rows of a window takes much of its time. oneDNN takes weights
that it has packed itself, and rounds a row alike for any number of rows. One or two rows in float32 are faster on
the right of unpacked weights (`bench/products.py`): `ar` takes 12 % less time for it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

FEW = 2  # rows in float32 that are multiplied on the right


class Linear:
    """Linear layers of one input as a single product: x [R, D] to [R, E], their outputs side by side.

    The weights are copied twice, as they are and packed. In float32 up to `FEW` rows are rounded
    differently from more. No gradients.
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        self._layers = layers
        self._weight = torch.cat([layer.weight for layer in layers])  # [E, D]
        self._bias = torch.cat([_bias(layer) for layer in layers])  # [E]
        self._packed = packed(self._weight)
        self._few = FEW if self._weight.dtype == torch.float32 else 0

    def __call__(self, x: Tensor) -> Tensor:
        # A single row takes the routine of a vector, which is slower and on some processors rounds differently.
        rows = x.expand(2, -1).contiguous() if len(x) == 1 else x
        if len(x) > self._few:
            return product(rows, self._packed, self._bias)[: len(x)]
        return torch.addmm(self._bias[:, None], self._weight, rows.t()).t()[: len(x)].contiguous()

    def is_current(self) -> bool:
        """True while the layers hold the weights that were copied; takes less time than copying again."""
        sizes = [layer.out_features for layer in self._layers]
        copies = zip(self._layers, self._weight.split(sizes), self._bias.split(sizes), strict=True)
        return all(torch.equal(layer.weight, w) and torch.equal(_bias(layer), b) for layer, w, b in copies)


class JanusHead:
    """Janus' image head: hidden states [R, n, D] to logits [R, n, V]."""

    def __init__(self, head: Any):
        self.products = [Linear([head.proj_out]), Linear([head.vision_head])]
        self._activation = head.activation_fn

    def __call__(self, hidden: Tensor) -> Tensor:
        inner, outer = self.products
        logits = outer(self._activation(inner(hidden.flatten(0, 1))))
        return logits.view(*hidden.shape[:-1], -1)


def packed(weight: Tensor) -> Tensor:
    """A weight [E, D] in oneDNN's layout."""
    return torch.ops.mkldnn._reorder_linear_weight(weight)


def product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Multiply x [R, D] by a packed weight, plus the bias [E]."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
