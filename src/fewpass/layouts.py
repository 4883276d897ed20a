"""Weights that lie well in memory: the same numbers, and less time on a CPU.

BLAS multiplies the few rows of one token fastest with weights that lie row by row, as torch keeps them, and the many
rows of a window with weights that lie column by column (`bench/layouts.py`). So small models keep theirs both ways.
Convolutions, which make the pixels, are fastest where the channels of a pixel lie together.
"""

import copy
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn

from fewpass.cache import SlotCache
from fewpass.models.body import Body
from fewpass.session import Network

ROWS = range(5, 49)  # in a product: for so many, columns are the better layout
ROOM = 1 << 27  # bytes of weights that may be kept twice


def by_channels(model: nn.Module) -> None:
    """Turn the convolutions of a model over, in place."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.device.type == "cpu":
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)


def widened(network: Network) -> Network:
    """The same network, whose windows read weights by columns where that pays."""
    parts = {part.name: getattr(network, part.name) for part in fields(Network)}
    return WideNetwork(**parts)


@dataclass(frozen=True, eq=False)
class WideNetwork(Network):
    """A network with another body has other columns; with one that is no `Body`, none."""

    columns: "Columns | None" = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", Columns(self.body) if isinstance(self.body, Body) else None)

    def cache(self, rows: int, slots: int, device: torch.device) -> SlotCache:
        if self.columns is not None:
            self.columns.current = False  # whoever opens a session may have trained the model since the last one
        return super().cache(rows, slots, device)

    def answer(self, tokens: Tensor, ids: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        body = self.body
        if self.columns is not None and tokens.numel() in ROWS and not torch.is_grad_enabled():
            body = self.columns.body()
        return self.head(body(self.embed(tokens), ids, mask, cache))


class Columns:
    """A twin of a body, which shares everything with it but the memory of its linear layers' weights."""

    def __init__(self, original: Body):
        self.original, self.current = original, False
        self._modules: list[tuple[nn.Module, type]] = []
        self._twin: Body | None = None

    def body(self) -> Body:
        """The twin, with the weights the model has as the session opens; the original, where no twin is worth it."""
        if not self.current:
            self._renew()
            self.current = True
        return self._twin or self.original

    @torch.inference_mode(False)  # what is made now may be written to later, in whatever mode
    @torch.no_grad()
    def _renew(self) -> None:
        modules = [(module, type(module)) for module in self.original.model.modules()]
        linear = [module for module, kind in modules if kind is nn.Linear]
        if not _worth_it(linear):
            self._twin = None
        elif self._twin is None or modules != self._modules:
            self._modules, self._twin = modules, Body(_twin(self.original.model))
        else:
            twins = [module for module in self._twin.model.modules() if type(module) is nn.Linear]
            for mine, twin in zip(linear, twins, strict=True):
                twin.weight.copy_(mine.weight)


def _worth_it(linear: list[nn.Linear]) -> bool:
    weights = [module.weight for module in linear]
    plain = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
    return plain and 0 < sum(weight.nbytes for weight in weights) <= ROOM


def _twin(module: nn.Module) -> nn.Module:
    twin = copy.copy(module)
    twin._modules = {name: child and _twin(child) for name, child in module._modules.items()}
    if type(module) is nn.Linear:
        weight = module.weight.t().contiguous().t()  # the same matrix, column by column
        twin._parameters = {**module._parameters, "weight": nn.Parameter(weight, requires_grad=False)}
    return twin
