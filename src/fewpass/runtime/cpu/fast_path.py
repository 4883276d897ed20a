"""The fast path in front of a network: copies of its weights, compared with them before every drawing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.janus.modeling_janus import JanusVQVAEHead

from fewpass.runtime.cpu.capability import BODIES, supports
from fewpass.runtime.cpu.linear import FEW, JanusHead, Linear
from fewpass.runtime.cpu.llama import Llama
from fewpass.runtime.kv_cache import SlotCache
from fewpass.runtime.session import Network
from fewpass.runtime.transformer import Body

TABLED = 2048  # codes at most whose embeddings are kept in a table


def fast(network: Network) -> Network:
    """The same network with the CPU fast path in front of it; `network` itself if its body is none of `BODIES`.

    On the fast path logits are batch-invariant: they depend neither on the batch nor on the window. In float32 a pass
    over one position is the exception.
    """
    if not isinstance(network.body, Body) or type(network.body.model) not in BODIES:
        return network
    path = FastPath(network, network.body.model)
    return replace(network, embed=path.embed, body=path, head=path.head)


class FastPath(Body):
    """Embedding, body and head of a network: fast ones wherever `supports` holds, else those of the `plain` network.

    Weights are compared with their copies at every prefill, so training between two drawings is seen. Gradients and
    torch.compile always take the plain network.
    """

    def __init__(self, plain: Network, model: PreTrainedModel):
        super().__init__(model)
        self.plain = self._running = plain
        self._modules, self._products = list[nn.Module](), list[Linear]()
        self.outdated, self._prefill = True, False

    @property
    def network(self) -> Network:
        """The network to run now."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self.plain
        if self.outdated:
            with torch.inference_mode(False), torch.no_grad():  # copies serve both modes
                self._renew()
            self.outdated = False
        return self._running

    def embed(self, tokens: Tensor) -> Tensor:
        return self.network.embed(tokens)

    def __call__(self, inputs: Tensor, position: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        if cache.empty:
            self.outdated = self._prefill = True
        return self.network.body(inputs, position, mask, cache)

    def head(self, hidden: Tensor) -> Tensor:
        if not self._prefill:
            return self.network.head(hidden)
        self._prefill = False  # its single positions are repeated, so that they round alike in any batch
        return self.network.head(hidden.expand(-1, FEW + 1, -1).contiguous())[:, :1]

    def _renew(self) -> None:
        head: Any = self.plain.head if type(self.plain.head) is JanusVQVAEHead else None
        roots = [self.model] if head is None else [self.model, head]
        if not supports(self.model, roots):
            self._running, self._modules, self._products = self.plain, [], []
            return
        modules = [module for root in roots for module in root.modules()]
        if modules != self._modules or not all(product.is_current() for product in self._products):
            self._running, self._modules, self._products = self.plain, modules, []  # frees their memory first
            self._running, self._products = self._copied(head)
        if head is not None:
            self._running = replace(self._running, embed=tabled(self.plain.embed, head.vision_head.out_features))

    def _copied(self, head: Any) -> tuple[Network, list[Linear]]:
        """The network out of copies of the weights, and the products that hold them."""
        body = Llama(self.model)
        if head is None:
            return replace(self.plain, body=body), body.products
        fast_head = JanusHead(head)
        return replace(self.plain, body=body, head=fast_head), [*body.products, *fast_head.products]


def tabled(embed: Callable[[Tensor], Tensor], codes: int) -> Callable[[Tensor], Tensor]:
    """A table of the present embeddings of `codes` codes, or `embed` itself if there are more than `TABLED`."""
    if codes > TABLED:
        return embed
    table = embed(torch.arange(codes))  # [codes, D]
    return lambda tokens: F.embedding(tokens, table)
