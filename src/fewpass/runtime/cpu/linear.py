"""Products with weights that are laid out beforehand.

BLAS arranges the weights in panels anew in every call. For the rows of a window that is a good part of its time, for
the rows of one token most of it (`bench/products.py`). oneDNN takes weights that it has arranged itself, for any number
of rows; few rows in float32 are fastest where they stand on the right of the weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FEW = 2  # rows in float32 that are multiplied on the right


class Product:
    """Linear layers of one input as one: x [R, D] to [R, E], the outputs of all layers side by side.

    The weights are copied, once as they are and once in panels, and stay those of the moment. No gradients.
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        self._layers = layers
        self._weight = torch.cat([layer.weight for layer in layers])  # [E, D]
        self._bias = torch.cat([_bias(layer) for layer in layers])  # [E]
        self._panels = torch.ops.mkldnn._reorder_linear_weight(self._weight)
        self._few = FEW if self._weight.dtype == torch.float32 else 0  # in bfloat16 panels are faster for any number

    def __call__(self, x: Tensor) -> Tensor:
        if len(x) <= self._few:
            return self._of_few(x)
        return torch.ops.mkldnn._linear_pointwise(x, self._panels, self._bias, "none", [], "")

    def _of_few(self, x: Tensor) -> Tensor:
        right = x.expand(2, -1).contiguous() if len(x) == 1 else x  # a single one is another routine, and a slow one
        return torch.addmm(self._bias[:, None], self._weight, right.t()).t()[: len(x)].contiguous()

    def current(self) -> bool:
        """Are the weights of the layers still those that were copied? Asking takes less time than copying again."""
        sizes = [layer.out_features for layer in self._layers]
        copies = zip(self._layers, self._weight.split(sizes), self._bias.split(sizes), strict=True)
        return all(torch.equal(layer.weight, w) and torch.equal(_bias(layer), b) for layer, w, b in copies)


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
