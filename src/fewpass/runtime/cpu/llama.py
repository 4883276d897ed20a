"""A body of Llama's layout in as few calls of torch as possible.

A small model on a CPU spends much of a pass between its products: in calls of modules, views, masks and rotations that
every layer makes again. Here queries, keys and values are one product, and so are both halves of the MLP; the mask and
the rotation are made once a pass.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from fewpass.runtime.cpu.attention import Attention, attention_in
from fewpass.runtime.cpu.linear import Linear
from fewpass.runtime.kv_cache import SlotCache, SlotLayer


class Llama:
    """A function like `fewpass.runtime.transformer.Body`, with copies of the weights; residuals are float32."""

    def __init__(self, model: PreTrainedModel):
        self._rotary, self._norm = model.rotary_emb, Norm(model.norm)
        self._blocks = [Block(layer) for layer in model.layers[: model.config.num_hidden_layers]]
        self.products = [product for block in self._blocks for product in block.products]

    def __call__(self, inputs: Tensor, position: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        cos, sin = self._rotary(inputs, position)
        shared = Shared.of(mask, cos, sin, self._blocks[0].heads, self._blocks[0].group)
        x = inputs.flatten(0, 1).float()  # [R * n, D]
        for block, layer in zip(self._blocks, cache.layers, strict=True):
            x = block(x, shared, layer)
        return self._norm(x).view(inputs.shape)


@dataclass(frozen=True)
class Shared:
    """Values that all layers of a pass share: `cos` and `sin` [R, n, 1, d], the first half of the sines negated."""

    cos: Tensor
    sin: Tensor
    attention: Attention

    @classmethod
    def of(cls, mask: Tensor, cos: Tensor, sin: Tensor, heads: int, group: int) -> "Shared":
        first, second = sin.chunk(2, -1)
        signed = torch.cat((-first, second), -1)
        attention = attention_in(cos.dtype).of(mask, cos.dtype, heads, group)
        return cls(cos[:, :, None], signed[:, :, None], attention)

    def rotated(self, heads: Tensor) -> Tensor:
        """Rotary embedding of heads [R, n, H, d]."""
        return (heads * self.cos).addcmul_(heads.roll(heads.shape[-1] // 2, -1), self.sin)


class Block:
    """One layer: attention, then the MLP, each added to the residual."""

    def __init__(self, layer: Any):
        attention, mlp = layer.self_attn, layer.mlp
        self.width, self.group, self.scale = attention.head_dim, attention.num_key_value_groups, attention.scaling
        self.heads = attention.k_proj.out_features // self.width  # of keys
        self._attention_norm, self._mlp_norm = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self._qkv = Linear([attention.q_proj, attention.k_proj, attention.v_proj])
        self._out = Linear([attention.o_proj])
        self._gate_up, self._down = Linear([mlp.gate_proj, mlp.up_proj]), Linear([mlp.down_proj])
        self.products = self._qkv, self._out, self._gate_up, self._down

    def __call__(self, x: Tensor, shared: Shared, layer: SlotLayer) -> Tensor:
        x = x + self._out(self._attended(self._qkv(self._attention_norm(x)), shared, layer))
        gate, up = self._gate_up(self._mlp_norm(x)).chunk(2, -1)
        return x + self._down(F.silu(gate).mul_(up))

    def _attended(self, qkv: Tensor, shared: Shared, layer: SlotLayer) -> Tensor:
        """Queries, keys and values side by side [R * n, E] to the output of the heads [R * n, H * d]."""
        rows, n = shared.cos.shape[:2]
        heads, queries = qkv.view(rows, n, -1, self.width), self.heads * self.group
        rotated = shared.rotated(heads[:, :, : queries + self.heads]).transpose(1, 2)
        values = heads[:, :, queries + self.heads :].transpose(1, 2)
        k, v = layer.update(rotated[:, queries:], values)  # [R, heads, S, d]
        q = rotated[:, :queries].reshape(rows, self.heads, self.group * n, self.width)
        found = shared.attention(q, k, v, self.scale)
        return found.reshape(rows, queries, n, self.width).transpose(1, 2).reshape(rows * n, -1)


class Norm:
    """Root mean square normalisation of x [R, D] with the present weight of a module."""

    def __init__(self, module: Any):
        self._module = module

    def __call__(self, x: Tensor) -> Tensor:
        weight = self._module.weight
        return torch.rms_norm(x, x.shape[-1:], weight.to(x.dtype), self._module.variance_epsilon).to(weight.dtype)
