"""Attention where every query has a mask of its own: what the layers of a pass have in common, and how each attends.

The heads that share keys and values are taken for queries of one head. Queries are q [R, H, n, d], keys and values
k, v [R, H, S, d] with H heads of keys. Slots that are masked do not show in how the others are rounded, if there are
whole portions of them (`portion`).
"""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.runtime.kv_cache import BUCKET

TAKEN, ALIKE = 32, 4  # queries, in torch's attention on a CPU


@dataclass(frozen=True)
class Fused:
    """torch's own.

    It takes queries `TAKEN` at a time, and the products of fewer than `ALIKE` are rounded in another way than those of
    more. Up to three `spare` ones see to it that what a query finds does not depend on how many were asked, unless it
    was the only one. Its products sum up to 192 numbers at a time, and halves of what is left in the end.
    """

    portion = 192
    mask: Tensor  # [R, 1, n + spare, S]
    spare: int

    @classmethod
    def of(cls, mask: Tensor, dtype: torch.dtype, heads: int, group: int) -> Self:
        """From the mask bool [R, 1, n, S] of queries with `heads` times `group` heads, of which each `group` share."""
        added = _added(mask, dtype, group)
        left = added.shape[2] % TAKEN
        spare = ALIKE - left if 0 < left < ALIKE and mask.shape[2] > 1 else 0
        return cls(_filled(added, spare), spare)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        filled = _filled(q, self.spare)
        return F.scaled_dot_product_attention(filled, k, v, attn_mask=self.mask, scale=scale)[:, :, : q.shape[2]]


@dataclass(frozen=True)
class Multiplied:
    """Two products of matrices.

    In bfloat16 oneDNN makes them: faster than torch's own attention, and rounded alike for any number of queries.
    """

    portion = BUCKET
    mask: Tensor  # [R * H, n, S]

    @classmethod
    def of(cls, mask: Tensor, dtype: torch.dtype, heads: int, group: int) -> Self:
        return cls(_added(mask, dtype, group).expand(-1, heads, -1, -1).flatten(0, 1))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        keys = k.contiguous().flatten(0, 1)  # a copy row by row, else torch makes one number by number
        scores = torch.baddbmm(self.mask, q.flatten(0, 1), keys.transpose(1, 2), alpha=scale)
        return torch.bmm(scores.softmax(-1), v.flatten(0, 1)).view(q.shape)


Attention = Fused | Multiplied


def attention_in(dtype: torch.dtype) -> type[Fused] | type[Multiplied]:
    """How a lean twin in float32 or bfloat16 attends."""
    return Fused if dtype == torch.float32 else Multiplied


def _added(mask: Tensor, dtype: torch.dtype, group: int) -> Tensor:
    """What is added to scores [R, 1, group * n, S]."""
    added = torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)
    return added.repeat(1, 1, group, 1) if group > 1 else added


def _filled(x: Tensor, spare: int) -> Tensor:
    """[..., n, m] to [..., n + spare, m]."""
    return F.pad(x, (0, 0, 0, spare)) if spare else x
