"""Chameleon's descendants that draw (arXiv 2405.09818): Anole and Lumina-mGPT, in transformers' format."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor
from transformers import ChameleonForConditionalGeneration, PreTrainedTokenizerBase

from fewpass.core.canvas import Grid
from fewpass.core.codebook import Codebook
from fewpass.models.base import Model, Prompt
from fewpass.models.chameleon.styles import END, START, TURN, style_of, vocabulary_of_shape
from fewpass.models.chameleon.vqgan import Vqgan, find_vqgan, vqgan_home
from fewpass.models.checkpoint import Checkpoint, sampling_of, scatter
from fewpass.models.pixels import to_pixels
from fewpass.models.vocabulary import ImageVocabulary, check_known, codes_in_order, named

NORMS = ("q_norm.weight", "q_norm.bias", "k_norm.weight", "k_norm.bias")


class Chameleon(Model):
    """Only the image rows of the output head are used: the model's own `forward` makes them impossible.

    The decoder of its VQGAN is no part of transformers' class. It is read from the checkpoint's own weights, as in
    Anole's, or from a folder `vqgan` inside that of the checkpoint. Meta's Chameleon has neither, and draws nothing.
    """

    kind = ChameleonForConditionalGeneration
    vocabulary: ImageVocabulary

    def __init__(self, model: ChameleonForConditionalGeneration, tokenizer: PreTrainedTokenizerBase | None, name: str):
        super().__init__(model, tokenizer, name)
        config = model.config
        codes = codes_in_order(model.model.vocabulary_mapping, name)
        self.style = style_of(config, name, len(codes))
        self.size_source = self.style.size_source
        symbols = named(config.vocabulary_map, *self.style.symbols)
        self.vocabulary = ImageVocabulary(model, torch.tensor([*codes, *symbols]))
        self._check_enabled(len(codes))
        self.guidance, self.sampling = self.style.guidance, sampling_of(model.generation_config, self.style.sampling)
        self.context = config.max_position_embeddings
        self.start, self.turn, end = named(config.vocabulary_map, START, TURN, END)
        self.closing = (end,)
        self._vqgan: Vqgan | None = None
        self.network = self.vocabulary.network(model.model, model.model.vqmodel.quantize.embedding.weight)

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Self:
        vqgan_home(checkpoint)  # before the weights are read, which takes long
        tokenizer = checkpoint.tokenizer()
        # Lumina-mGPT has no VQGAN among its weights, whose encoder is not needed to draw.
        weights = checkpoint.weights(cls.kind, absent="model.vqmodel.", mend=partial(_spread_norms, checkpoint))
        loaded = cls(weights, tokenizer, checkpoint.name)
        loaded.check_pictures([])
        return loaded

    @classmethod
    def untrained(cls, config: Mapping[str, Any], name: str, device: torch.device, dtype: torch.dtype) -> Self:
        shape = cls.kind.config_class.from_dict(dict(config))
        known = shape.vocabulary_map or vocabulary_of_shape(shape.vocab_size, shape.vq_config.num_embeddings)
        loaded = super().untrained({**config, "vocabulary_map": known}, name, device, dtype)
        with torch.device(device):
            vqgan = Vqgan(loaded.model.config)
        scatter(vqgan)
        loaded._show_with(vqgan.eval())
        return loaded

    def _check_enabled(self, codes: int) -> None:
        """Raise ValueError if the head's rows of the codes are empty, as where image output has been disabled.

        Or if the codebook has another number of codes: Lumina-mGPT 2.0 also calls itself a Chameleon.
        """
        if codes != (entries := self.model.config.vq_config.num_embeddings):
            raise ValueError(f"{self.name} has {codes} image tokens for a codebook of {entries}: no such Chameleon")
        rows = self.vocabulary.rows
        if rows is not None and not rows[self.vocabulary.ids[:codes] - self.vocabulary.ids.min()].any():
            raise ValueError(f"{self.name}: image output is disabled, the image rows of lm_head are all zero")

    def grid(self, size: tuple[int, int] | None) -> Grid:
        return self.style.grid(size, self.name)

    def prompt_ids(self, prompt: str, grid: Grid) -> Tensor:
        check_known(prompt, self.tokenizer, self.name)
        text = self.tokenizer(self.style.text(prompt, grid), add_special_tokens=False).input_ids
        return self._tensor([self.start, *text, self.turn, *self.style.header(grid)])

    def rows(self, ids: Tensor, negative: Tensor | None, grid: Grid) -> list[Tensor]:
        return [ids, self._tensor(self.style.unconditional(grid)) if negative is None else negative]

    @property
    def vqgan(self) -> Vqgan:
        return self._vqgan or self._show_with(find_vqgan(self.model))

    def _show_with(self, vqgan: Vqgan) -> Vqgan:
        self._vqgan = vqgan
        codes = Codebook(vqgan.codes, self.vocabulary.embed)  # Lumina-mGPT has no others
        self.network = replace(self.network, codebook=codes)
        return vqgan

    def check_pictures(self, prompts: Sequence[Prompt]) -> None:
        _ = self.vqgan

    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        codes = tokens.view(-1, grid.rows, grid.cols)[..., : grid.cols - len(self.style.symbols)]
        return to_pixels(self.vqgan, codes.clamp(max=(grid.codes or grid.vocab) - 1))

    def size_in(self, ids: Tensor) -> tuple[int, int] | None:
        return self.style.size_after(ids.tolist())

    def opening(self, ids: Tensor, grid: Grid) -> tuple[int, ...]:
        return () if self.style.size_after(ids.tolist()) else tuple(self.style.header(grid))

    def _tensor(self, ids: list[int]) -> Tensor:
        return torch.tensor(ids, device=self.device)


def _spread_norms(checkpoint: Checkpoint, model: ChameleonForConditionalGeneration, wrong: list[str]) -> list[str]:
    """Lumina-mGPT stores the norms of queries and keys once for all heads that share them."""
    stored = checkpoint.tensors(lambda name: name in wrong and name.endswith(NORMS))
    for name, norm in stored.items():
        heads = model.get_parameter(name)
        if heads.shape[1:] == norm.shape[1:] and len(heads) % len(norm) == 0:
            heads.data.copy_(norm.repeat_interleave(len(heads) // len(norm), 0))
            wrong.remove(name)
    return wrong
