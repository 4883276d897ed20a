"""Language models of transformers, called one window of slots at a time."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from fewpass.cache import SlotCache


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """Eager attention adds its mask to the scores, a boolean one too, without a word."""
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill_(~mask, torch.finfo(like.dtype).min)


def _boolean(mask: Tensor, like: Tensor) -> Tensor:
    return mask


_MASKS = {"sdpa": _boolean, "eager": _additive}  # attention implementation -> the kind of mask it takes


class Body:
    """A decoder-only transformer of transformers as a function of inputs [R, n, D], slots [R, n] and mask.

    Raises ValueError if its attention implementation cannot take a mask of its own for every query.
    """

    def __init__(self, model: PreTrainedModel):
        self.model = model
        attention = model.config._attn_implementation
        if attention not in _MASKS:
            raise ValueError(
                f"attention implementation {attention!r} takes no 4-D mask; use one of {', '.join(_MASKS)}"
            )
        self._mask = _MASKS[attention]

    def __call__(self, inputs: Tensor, slot: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        return self.model(
            inputs_embeds=inputs,
            attention_mask=self._mask(mask, inputs),
            position_ids=slot,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
