"""Janus and Janus-Pro (arXiv 2410.13848, 2501.17811), in transformers' format; the bundled model is one of them."""

import math
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, JanusForConditionalGeneration, PreTrainedTokenizerBase

from fewpass.canvas import Grid
from fewpass.models.base import Model
from fewpass.models.body import Body
from fewpass.models.weights import load_weights
from fewpass.models.words import check_known
from fewpass.session import Network


class Janus(Model):
    """A square image of `num_image_tokens` codes behind a begin-of-image token.

    The unconditional row is the prompt's own length of padding between BOS and BOI, all of it attended to: that is
    what the model was trained with, and what transformers' `generate(generation_mode="image")` does.
    """

    def __init__(self, model: JanusForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, name: str):
        self.model, self.tokenizer, self.name = model.eval(), tokenizer, name
        self.device = model.device
        self.guidance = float(model.generation_config.guidance_scale or 5.0)
        self.side = math.isqrt(model.config.vision_config.num_image_tokens)
        inner = model.model
        self.network = Network(
            embed=model.prepare_embeddings_for_image_generation,
            body=Body(inner.language_model),
            head=inner.generation_head,
            layers=inner.language_model.config.num_hidden_layers,
        )

    @classmethod
    def load(cls, folder: Path, name: str, device: torch.device, dtype: torch.dtype) -> "Janus":
        model = load_weights(JanusForConditionalGeneration, folder, device, dtype)
        return cls(model, AutoTokenizer.from_pretrained(folder), name)

    @property
    def pixels_per_code(self) -> int:
        return 2 ** (len(self.model.config.vq_config.channel_multiplier) - 1)

    def grid(self, size: tuple[int, int] | None) -> Grid:
        edge = self.side * self.pixels_per_code
        if size not in (None, (edge, edge)):
            raise ValueError(f"{self.name} draws {edge}x{edge} only, not {size[0]}x{size[1]}")
        return Grid(self.side, self.side, self.model.config.vq_config.num_embeddings)

    def rows(self, prompt: str, negative: str | None, guided: bool) -> list[Tensor]:
        ids = self._ids(prompt)
        if not guided:
            return [self._embed(ids)]
        if negative is not None:
            return [self._embed(ids), self._embed(self._ids(negative))]
        special = (ids == self.tokenizer.bos_token_id) | (ids == self._begin)
        return [self._embed(ids), self._embed(ids.masked_fill(~special, self._padding))]

    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        signed = self.model.decode_image_tokens(tokens)  # [B, H, W, 3] in -1..1
        return ((signed.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    @property
    def _begin(self) -> int:
        return self.model.generation_config.generation_kwargs["boi_token_id"]

    @property
    def _padding(self) -> int:
        return self.model.generation_config.pad_token_id

    def _ids(self, prompt: str) -> Tensor:
        check_known(prompt, self.tokenizer, self.name)
        text = prompt
        if self.tokenizer.chat_template:
            message = {"role": "user", "content": [{"type": "text", "text": prompt}]}
            text = self.tokenizer.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
        return torch.tensor([*self.tokenizer(text).input_ids, self._begin], device=self.device)

    def _embed(self, ids: Tensor) -> Tensor:
        return self.model.get_input_embeddings()(ids)
