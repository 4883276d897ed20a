"""Janus and Janus-Pro (arXiv 2410.13848, 2501.17811), in transformers' format; `emoji` is one of them."""

import math
from collections.abc import Mapping
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GenerationConfig, JanusForConditionalGeneration, PreTrainedTokenizerBase

from fewpass.core.canvas import Grid
from fewpass.core.checks import scale
from fewpass.core.sampling import Sampling
from fewpass.models.base import Model
from fewpass.models.checkpoint import sampling_of
from fewpass.models.pixels import to_pixels
from fewpass.models.vocabulary import as_message, check_known
from fewpass.runtime.session import Network


class Janus(Model):
    """A square image of `num_image_tokens` codes behind a begin-of-image token.

    The unconditional row is the prompt's own length of padding between BOS and BOI, all of it attended to, as in the
    model's training and in transformers' `generate(generation_mode="image")`.
    """

    kind = JanusForConditionalGeneration
    chat_template = True

    def __init__(self, model: JanusForConditionalGeneration, tokenizer: PreTrainedTokenizerBase | None, name: str):
        super().__init__(model, tokenizer, name)
        inner, text = model.model, model.config.text_config
        self.guidance = scale(model.generation_config.guidance_scale or 5.0)
        self.sampling = sampling_of(model.generation_config, Sampling())
        self.context = text.max_position_embeddings
        self.side = math.isqrt(model.config.vision_config.num_image_tokens)
        embed = model.prepare_embeddings_for_image_generation
        codes = F.normalize(inner.vqmodel.quantize.embedding.weight, dim=-1)  # as the picture is decoded from them
        self.network = Network.of(inner.language_model, embed, inner.generation_head, codes)

    @classmethod
    def untrained(cls, config: Mapping[str, Any], name: str, device: torch.device, dtype: torch.dtype) -> Self:
        loaded = super().untrained(config, name, device, dtype)
        text = loaded.model.config.text_config
        words = {"bos_token_id": text.bos_token_id, "eos_token_id": text.eos_token_id}
        begin = {"boi_token_id": text.vocab_size - 1}  # which word it is does not matter
        loaded.model.generation_config = GenerationConfig(**words, pad_token_id=0, generation_kwargs=begin)
        return loaded

    @property
    def pixels_per_code(self) -> int:
        return 2 ** (len(self.model.config.vq_config.channel_multiplier) - 1)

    def grid(self, size: tuple[int, int] | None) -> Grid:
        edge = self.side * self.pixels_per_code
        if size not in (None, (edge, edge)):
            raise ValueError(f"{self.name} draws {edge}x{edge} only, not {size[0]}x{size[1]}")
        return Grid(self.side, self.side, self.model.config.vq_config.num_embeddings)

    def prompt_ids(self, prompt: str, grid: Grid) -> Tensor:
        check_known(prompt, self.tokenizer, self.name)
        text = as_message(prompt, self.tokenizer, self.name, add_generation_prompt=True)
        return torch.tensor([*self.tokenizer(text).input_ids, self._special("boi_token_id")], device=self.device)

    def rows(self, ids: Tensor, negative: Tensor | None, grid: Grid) -> list[Tensor]:
        if negative is not None:
            return [ids, negative]
        special = (ids == self._special("bos_token_id")) | (ids == self._special("boi_token_id"))
        return [ids, ids.masked_fill(~special, self._special("pad_token_id"))]

    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        return to_pixels(self.model.model.vqmodel.decode, tokens)

    def _special(self, name: str) -> int:
        """The id of a special token: that in generation_config.json, else the tokenizer's, else that in config.json."""
        config = self.model.generation_config
        own = getattr(config, "generation_kwargs", None) or {}
        if not isinstance(own, dict):
            raise ValueError(f"{self.name}: generation_kwargs in generation_config.json must be an object, got {own!r}")
        given = [own.get(name), getattr(config, name, None)]
        known = [getattr(self._tokenizer, name, None)]
        # Without a generation_config.json, transformers makes one of config.json, which holds less than the tokenizer.
        for token in [*known, *given] if config._from_model_config else [*given, *known]:
            if token is not None:
                if type(token) is not int or not 0 <= token < self.model.config.text_config.vocab_size:
                    raise ValueError(f"{self.name}: {name} in generation_config.json must be a token id, got {token!r}")
                return token
        raise ValueError(f"{self.name}: there is no {name} in generation_config.json, nor does the tokenizer have one")
