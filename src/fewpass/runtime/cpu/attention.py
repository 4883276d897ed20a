"""Attention under a mask for every query: q [R, H, n, d], keys and values [R, H, S, d] with H heads of keys.

The heads that share keys and values stand as further queries of one head. Masked slots do not change how the others
are rounded, since slots come in whole buckets (`fewpass.runtime.kv_cache.bucket`).
"""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.runtime.kv_cache import BUCKET

BLOCK, LEAST = 32, 4  # queries of a block in torch's attention; blocks with fewer than `LEAST` are rounded differently


@dataclass(frozen=True)
class Fused:
    """torch's attention, for float32.

    Up to three `spare` queries fill the last block, so that it rounds like any other; a single query goes without.
    """

    mask: Tensor  # [R, 1, n + spare, S]
    spare: int

    @classmethod
    def of(cls, mask: Tensor, dtype: torch.dtype, heads: int, group: int) -> Self:
        """Attention under a mask bool [R, 1, n, S] with `heads` heads of keys, each for `group` heads of queries."""
        added = _added(mask, dtype, group)
        left = added.shape[2] % BLOCK
        spare = LEAST - left if 0 < left < LEAST and mask.shape[2] > 1 else 0
        return cls(_padded(added, spare), spare)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        padded = _padded(q, self.spare)
        return F.scaled_dot_product_attention(padded, k, v, attn_mask=self.mask, scale=scale)[:, :, : q.shape[2]]


@dataclass(frozen=True)
class Multiplied:
    """Two matrix products, for bfloat16: oneDNN's are faster than torch's attention and rounded alike.

    Only the first `slots` are multiplied, a multiple of 64 that covers those in use. A `spare` query joins a single
    one, for which some processors take a product of a vector, which rounds differently.
    """

    mask: Tensor  # [R * H, n + spare, slots]
    slots: int
    spare: int

    @classmethod
    def of(cls, mask: Tensor, dtype: torch.dtype, heads: int, group: int) -> Self:
        used = int(mask.flatten(0, 2).any(0).nonzero().max())
        slots = min((used // BUCKET + 1) * BUCKET, mask.shape[-1])
        added = _added(mask[..., :slots], dtype, group)
        spare = int(added.shape[2] == 1)
        return cls(_padded(added, spare).expand(-1, heads, -1, -1).flatten(0, 1), slots, spare)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        padded, k, v = _padded(q, self.spare), k[:, :, : self.slots], v[:, :, : self.slots]
        keys = k.contiguous().flatten(0, 1)  # copied row by row, else torch copies number by number
        scores = torch.baddbmm(self.mask, padded.flatten(0, 1), keys.transpose(1, 2), alpha=scale)
        return torch.bmm(scores.softmax(-1), v.flatten(0, 1)).view(padded.shape)[:, :, : q.shape[2]]


Attention = Fused | Multiplied


def attention_in(dtype: torch.dtype) -> type[Fused] | type[Multiplied]:
    """The attention of the fast path in float32 or bfloat16."""
    return Fused if dtype == torch.float32 else Multiplied


def _added(mask: Tensor, dtype: torch.dtype, group: int) -> Tensor:
    """The mask as a term of the scores [R, 1, group * n, S]: 0 or -inf."""
    added = torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)
    return added.repeat(1, 1, group, 1) if group > 1 else added


def _padded(x: Tensor, spare: int) -> Tensor:
    """[..., n, m] to [..., n + spare, m]."""
    return F.pad(x, (0, 0, 0, spare)) if spare else x
