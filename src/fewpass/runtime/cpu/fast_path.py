"""The fast path in front of a network: copies of its weights, compared with them before every drawing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from fewpass.runtime.cpu.capability import BODIES, is_janus_head, supports
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
    return replace(network, embed=path.embed, body=FastBody(path, network.body.model), head=path.head)


class FastPath:
    """The parts of a network that run: fast ones wherever `supports` holds, else those of the plain network.

    Weights are compared with their copies at every prefill, so training between two drawings is seen. Gradients and
    torch.compile always take the plain network.
    """

    def __init__(self, plain: Network, model: PreTrainedModel):
        self.plain, self._model, self._running = plain, model, plain
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

    def body(self, inputs: Tensor, position: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        if cache.empty:
            self.outdated = self._prefill = True
        return self.network.body(inputs, position, mask, cache)

    def head(self, hidden: Tensor) -> Tensor:
        if not self._prefill:
            return self.network.head(hidden)
        self._prefill = False  # its single positions are repeated, so that they round alike in any batch
        return self.network.head(hidden.expand(-1, FEW + 1, -1).contiguous())[:, :1]

    def _renew(self) -> None:
        head: Any = self.plain.head if is_janus_head(self.plain.head) else None
        roots = [self._model] if head is None else [self._model, head]
        if not supports(self._model, roots):
            self._running, self._modules, self._products = self.plain, [], []
            return
        modules = [module for root in roots for module in root.modules()]
        if modules != self._modules or not all(product.is_current() for product in self._products):
            self._running, self._products = self.plain, []  # frees their memory first
            self._copy(head)
            self._modules = modules
        if head is not None:
            self._running = replace(self._running, embed=tabled(self.plain.embed, head.vision_head.out_features))

    def _copy(self, head: Any) -> None:
        body = Llama(self._model)
        self._running, self._products = replace(self.plain, body=body), body.products
        if head is not None:
            fast_head = JanusHead(head)
            self._running = replace(self._running, head=fast_head)
            self._products = [*body.products, *fast_head.products]


class FastBody(Body):
    """The body of a network on the fast path."""

    def __init__(self, path: FastPath, model: PreTrainedModel):
        super().__init__(model)
        self._path = path

    def __call__(self, inputs: Tensor, position: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        return self._path.body(inputs, position, mask, cache)


def tabled(embed: Callable[[Tensor], Tensor], codes: int) -> Callable[[Tensor], Tensor]:
    """A table of the present embeddings of `codes` codes, or `embed` itself if there are more than `TABLED`."""
    if codes > TABLED:
        return embed
    table = embed(torch.arange(codes))  # [codes, D]
    return lambda tokens: F.embedding(tokens, table)
