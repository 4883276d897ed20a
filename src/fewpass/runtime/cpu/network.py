"""Small models on a CPU have a twin that answers windows in less time (`fewpass.runtime.cpu.llama`)."""

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor, nn

from fewpass.runtime.cpu.attention import attention_in
from fewpass.runtime.cpu.capability import are_small_and_plain, is_head, is_llama
from fewpass.runtime.cpu.janus_head import LeanHead, tabled
from fewpass.runtime.cpu.linear import FEW, Product
from fewpass.runtime.cpu.llama import Lean
from fewpass.runtime.kv_cache import SlotCache
from fewpass.runtime.session import Network
from fewpass.runtime.transformer import Body


def twinned(network: Network) -> Network:
    """The same network, which is answered for by a lean twin where it has one."""
    return TwinNetwork(**_parts(network))


@dataclass(frozen=True, eq=False)
class TwinNetwork(Network):
    """A network with another body, head or embedding has another twin.

    What a twin answers does not depend on the batch, nor on how many positions a pass is about if there are three or
    more, or in bfloat16: it leaves it to torch only to do what is rounded alike for any number of rows.
    """

    twin: "Twin" = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "twin", Twin(Network(**_parts(self))))

    @property
    def steady(self) -> bool:
        return bool(_roots(self.twin.original))

    @property
    def portion(self) -> int:
        roots = _roots(self.twin.original)
        return attention_in(next(roots[0].parameters()).dtype).portion if roots else super().portion

    def cache(self, rows: int, slots: int, device: torch.device) -> SlotCache:
        self.twin.current = False  # whoever opens a session may have trained the model since the last one
        return super().cache(rows, slots, device)

    def begin(self, inputs: Tensor, ids: Tensor, mask: Tensor, cache: SlotCache, last: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().begin(inputs, ids, mask, cache, last)
        lean = self.twin.network()
        if lean is self.twin.original:
            return lean.begin(inputs, ids, mask, cache, last)
        hidden = lean.body(inputs, ids, mask, cache)[torch.arange(len(last)), last]
        several = hidden[:, None].expand(-1, FEW + 1, -1)  # rounded like those of a window, whoever else is there
        return lean.head(several.contiguous())[:, :1]

    def answer(self, tokens: Tensor, ids: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        if torch.is_grad_enabled():
            return super().answer(tokens, ids, mask, cache)
        return self.twin.network().answer(tokens, ids, mask, cache)


class Twin:
    """The lean twin of a network, whose weights are those that the model had when a session was last opened."""

    def __init__(self, original: Network):
        self.original, self.current = original, False
        self._lean, self._modules, self._products = original, list[nn.Module](), list[Product]()

    def network(self) -> Network:
        """The twin; the original, where there is none."""
        if not self.current:
            with torch.inference_mode(False), torch.no_grad():  # in whatever mode it will be used
                self._renew()
            self.current = True
        return self._lean

    def _renew(self) -> None:
        roots = _roots(self.original)
        if not roots:
            self._lean, self._modules, self._products = self.original, [], []
            return
        modules = [module for root in roots for module in root.modules()]
        if modules != self._modules or not all(product.current() for product in self._products):
            self._lean, self._products = self.original, []  # their memory is needed
            self._lean, self._products = _lean(self.original)
            self._modules = modules
        if isinstance(self._lean.head, LeanHead):
            self._lean = replace(self._lean, embed=tabled(self.original.embed, self._lean.head.codes))


def _parts(network: Network) -> dict:
    return {part.name: getattr(network, part.name) for part in fields(Network)}


def _roots(network: Network) -> list[nn.Module]:
    """The modules that the twin stands in for; none if there is to be no twin."""
    if not isinstance(network.body, Body) or not is_llama(network.body.model):
        return []
    roots = [network.body.model, *([network.head] if is_head(network.head) else [])]
    return roots if are_small_and_plain(roots) else []


def _lean(network: Network) -> tuple[Network, list[Product]]:
    """The twin of a network that can have one, with the embedding still to be put in a table, and its products."""
    assert isinstance(network.body, Body)
    body = Lean(network.body.model)
    if not is_head(network.head):
        return replace(network, body=body), body.products
    head = LeanHead(network.head)
    return replace(network, body=body, head=head), [*body.products, *head.products]
