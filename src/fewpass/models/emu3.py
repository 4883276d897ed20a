"""Emu3-Gen (arXiv 2409.18869), in transformers' format."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from transformers import Emu3ForConditionalGeneration, PreTrainedTokenizerBase

from fewpass.canvas import Grid
from fewpass.codebook import Codebook
from fewpass.models.base import Model
from fewpass.models.body import Body
from fewpass.models.checkpoint import Checkpoint
from fewpass.models.defaults import first, sampling_of
from fewpass.models.layout import cells, with_row_ends
from fewpass.models.pixels import painted
from fewpass.models.untrained import shape_of
from fewpass.models.vocabulary import ImageVocabulary
from fewpass.models.words import check_known, check_vocabulary, codes_in_order, named, special
from fewpass.sampling import Sampling
from fewpass.session import Network

SIDE = 720
WORDS = "<|visual token"  # how the words of images begin
NEGATIVE = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality,"
    " low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry."
)


class Emu3(Model):
    """Any size in multiples of 8 pixels, told to the model in front of the image; row ends close the rows.

    The unconditional row is a negative prompt in front of the same size. Without one it is that of the authors'
    script, or, where there is no tokenizer, the last token of the prompt alone, as in transformers' `generate`.
    """

    kind = Emu3ForConditionalGeneration

    def __init__(self, model: Emu3ForConditionalGeneration, tokenizer: PreTrainedTokenizerBase | None, name: str):
        super().__init__(model, tokenizer, name)
        config, mapping = model.config, model.model.vocabulary_mapping
        row_end, frame_end, image_end = named(config.vocabulary_map, "<|extra_200|>", "<|extra_201|>", "<|image end|>")
        codes = codes_in_order(mapping, name)
        if len(codes) != config.vq_config.codebook_size:
            raise ValueError(f"{name}: {len(codes)} image tokens for {config.vq_config.codebook_size} codes")
        self.closing = (frame_end, image_end, first(config.text_config.eos_token_id))
        self.guidance = float(model.generation_config.guidance_scale or 3.0)
        self.sampling = sampling_of(model.generation_config, Sampling(top_k=2048))
        self.context = config.text_config.max_position_embeddings
        self.codes, self.vocabulary = len(codes), ImageVocabulary(model, torch.tensor([*codes, row_end]))
        self.network = Network(
            embed=self.vocabulary.embed,
            body=Body(model.model.text_model),
            head=self.vocabulary.logits,
            layers=config.text_config.num_hidden_layers,
            codebook=Codebook(model.model.vqmodel.quantize.embedding.weight, self.vocabulary.embed),
        )

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Self:
        check_vocabulary(checkpoint.config.get("vocabulary_map"), WORDS, checkpoint.name)
        return super().load(checkpoint)

    @classmethod
    def untrained(cls, config: Mapping[str, Any], name: str, device: torch.device, dtype: torch.dtype) -> Self:
        shape = shape_of(cls.kind, config)
        known = shape.vocabulary_map or _vocabulary(shape.text_config.vocab_size, shape.vq_config.codebook_size)
        return super().untrained({**config, "vocabulary_map": known}, name, device, dtype)

    @property
    def pixels_per_code(self) -> int:
        return 2 ** (len(self.model.config.vq_config.channel_multiplier) - 1)

    def grid(self, size: tuple[int, int] | None) -> Grid:
        rows, cols = cells(size or (SIDE, SIDE), self.pixels_per_code, self.name)
        return with_row_ends(rows, cols, self.codes)

    def prompt_ids(self, prompt: str, grid: Grid) -> Tensor:
        check_known(prompt, self.tokenizer, self.name)
        return self._ids(prompt, grid)

    def rows(self, ids: Tensor, negative: Tensor | None, grid: Grid) -> list[Tensor]:
        if negative is None:
            negative = ids[-1:] if self._tokenizer is None else self._ids(NEGATIVE, grid)
        return [ids, negative]

    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        codes = tokens.view(-1, grid.rows, grid.cols)[..., :-1].clamp(max=self.codes - 1)
        return painted(self.model.model.vqmodel.decode, codes)

    def requested(self, ids: Tensor, arguments: Mapping[str, Any]) -> Grid:
        sizes = arguments.get("image_sizes")
        if sizes is None:
            return super().requested(ids, arguments)
        different = {(int(rows), int(cols)) for rows, cols in sizes}
        if len(different) != 1:
            raise ValueError(f"images that are drawn together have one size, not {sorted(different)}")
        return with_row_ends(*different.pop(), self.codes)

    def words(self, tokens: Tensor) -> Tensor:
        return self.vocabulary.ids[tokens]

    def _ids(self, prompt: str, grid: Grid) -> Tensor:
        bos, start, wrapper = special(self.tokenizer, "bos_token", "boi_token", "image_wrapper_token")
        text = f"{bos}{prompt}{start}{grid.rows}*{grid.cols - 1}{wrapper}"
        return torch.tensor(self.tokenizer(text).input_ids, device=self.device)


def _vocabulary(words: int, codes: int) -> dict[str, int]:
    """For a shape that comes without one: the codes are the last words, as in the published model."""
    framing = ("<image>", "<|extra_200|>", "<|extra_201|>", "<|image end|>")
    visual = {f"{WORDS} {code:06d}|>": words - codes + code for code in range(codes)}
    return {word: number for number, word in enumerate(framing)} | visual
