"""Products with weights that are laid out beforehand.

BLAS arranges the weights in panels anew in every call. For the rows of a window that is a good part of its time, for
the rows of one token most of it (`bench/products.py`). oneDNN takes weights that it has arranged itself, for any number
of rows; few rows are fastest where they stand on the right of the weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FEW = 3  # rows that are multiplied on the right


class Product:
    """Linear layers of one input as one: x [R, D] to [R, E], the outputs of all layers side by side.

    The weights are copied, once as they are and once in panels, and stay those of the moment. No gradients.
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        self.weight = torch.cat([layer.weight for layer in layers])  # [E, D]
        self.bias = torch.cat([_bias(layer) for layer in layers])  # [E]
        self.panels = torch.ops.mkldnn._reorder_linear_weight(self.weight)

    def __call__(self, x: Tensor) -> Tensor:
        if len(x) <= FEW:
            return torch.addmm(self.bias[:, None], self.weight, x.t()).t().contiguous()
        return torch.ops.mkldnn._linear_pointwise(x, self.panels, self.bias, "none", [], "")


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
