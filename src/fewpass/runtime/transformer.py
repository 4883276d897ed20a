"""Language models of transformers, called one window of slots at a time."""

import inspect

import torch
from torch import Tensor
from transformers import PreTrainedModel

from fewpass.core.messages import shown
from fewpass.runtime.kv_cache import SlotCache


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """Eager attention adds its mask to the scores, a boolean one too, without a word."""
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill_(~mask, torch.finfo(like.dtype).min)


def _boolean(mask: Tensor, like: Tensor) -> Tensor:
    return mask


MASKS = {"sdpa": _boolean, "eager": _additive}  # attention implementation -> the kind of mask it takes


def check_attention(implementation: str) -> None:
    """Raise ValueError if an attention implementation cannot take a mask of its own for every query."""
    if implementation not in MASKS:
        raise ValueError(
            f"attention implementation {shown(implementation)} takes no 4-D mask; use one of {', '.join(MASKS)}"
        )


def cache_argument(model: PreTrainedModel) -> str:
    """What a language model of the installed transformers calls its cache: the name changed with 5.24."""
    return "cache" if "cache" in inspect.signature(type(model).forward).parameters else "past_key_values"


def input_device(model: PreTrainedModel) -> torch.device:
    """Where a model takes its inputs: where its embeddings are, or accelerate brings them when they are called."""
    brought = getattr(getattr(model.get_input_embeddings(), "_hf_hook", None), "execution_device", None)
    return model.device if brought is None else torch.device(brought)


class Body:
    """A decoder-only transformer of transformers as a function of inputs [R, n, D], position ids and mask."""

    def __init__(self, model: PreTrainedModel):
        check_attention(model.config._attn_implementation)
        self.model, self._cache = model, cache_argument(model)

    def __call__(self, inputs: Tensor, position: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        hidden = self.model(
            inputs_embeds=inputs,
            attention_mask=MASKS[self.model.config._attn_implementation](mask, inputs),
            position_ids=position,
            use_cache=True,
            **{self._cache: cache},
        ).last_hidden_state
        return hidden.to(inputs.device)  # a sharded model's last layer may be elsewhere

    def uncached(self, inputs: Tensor, position: Tensor) -> Tensor:
        """Whole rows of equal length, without a cache and with the model's own mask: what the rest is checked by."""
        real = torch.ones(inputs.shape[:2], dtype=torch.long, device=inputs.device)
        # Without a mask, transformers takes positions that jump for several sequences in one row.
        hidden = self.model(inputs_embeds=inputs, attention_mask=real, position_ids=position, use_cache=False)
        return hidden.last_hidden_state
