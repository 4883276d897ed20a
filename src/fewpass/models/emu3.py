"""Emu3-Gen (arXiv 2409.18869), in transformers' format."""

import copy
import logging
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer

from fewpass.core.canvas import Grid
from fewpass.core.checks import scale
from fewpass.core.messages import shown
from fewpass.core.sampling import Sampling
from fewpass.models.base import Model
from fewpass.models.checkpoint import first, sampling_of
from fewpass.models.layout import cells, with_row_ends
from fewpass.models.pixels import in_float32, to_pixels
from fewpass.models.vocabulary import ImageVocabulary, check_known, codes_in_order, named, special

SIDE = 720
IMAGE_TOKEN = "<|visual token"  # how the names of image tokens begin
POSITIVE = " masterpiece, film grained, best quality."  # the authors draw every prompt with this behind it
NEGATIVE = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality,"
    " low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry."
)


class Emu3ForConditionalGeneration(transformers.Emu3ForConditionalGeneration):
    """Transformers' class with its image tokenizer in float32, as its authors decode, and never quantised."""

    _keep_in_fp32_modules = _keep_in_fp32_modules_strict = ("vqmodel",)

    @classmethod
    def is_custom_code(cls) -> bool:
        return False  # names of weights in checkpoints are converted as for transformers' own class


class Emu3(Model):
    """Any size in multiples of 8 pixels, given to the model in front of the image; row ends close the rows.

    As in the authors' script, a text is read with `POSITIVE` behind it, unless it ends so already, and contrasted with
    a negative prompt in front of the same size, `NEGATIVE` if none is given. A text that begins with the tokenizer's
    BOS token is read as it stands. Where there is no tokenizer, the unconditional row is the last token of the prompt
    alone, as in transformers' `generate`.
    """

    kind = Emu3ForConditionalGeneration

    def __init__(
        self, model: transformers.Emu3ForConditionalGeneration, tokenizer: PreTrainedTokenizerBase | None, name: str
    ):
        super().__init__(model, tokenizer, name)
        if tokenizer is not None and _splits_as_gpt2(tokenizer):
            self._tokenizer = _split_as_qwen(tokenizer)
            self.notes = (
                f"{name}: its tokenizer splits texts as GPT-2's; it is used with the authors' splits and NFC",
            )
            logging.getLogger(__name__).warning(*self.notes)
        config, mapping = model.config, model.model.vocabulary_mapping
        codes = codes_in_order(mapping, name)
        row_end, frame_end, image_end = named(config.vocabulary_map, "<|extra_200|>", "<|extra_201|>", "<|image end|>")
        if len(codes) != config.vq_config.codebook_size:
            raise ValueError(f"{name}: {len(codes)} image tokens for {config.vq_config.codebook_size} codes")
        self.closing = (frame_end, image_end, first(config.text_config.eos_token_id))
        self.guidance = scale(model.generation_config.guidance_scale or 3.0)
        self.sampling = sampling_of(model.generation_config, Sampling(top_k=2048))
        self.context = config.text_config.max_position_embeddings
        self.codes, self.vocabulary = len(codes), ImageVocabulary(model, torch.tensor([*codes, row_end]))
        self.network = self.vocabulary.network(model.model.text_model, model.model.vqmodel.quantize.embedding.weight)

    @classmethod
    def untrained(cls, config: Mapping[str, Any], name: str, device: torch.device, dtype: torch.dtype) -> Self:
        shape = cls.kind.config_class.from_dict(dict(config))
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
        (bos,) = special(self.tokenizer, "bos_token")
        return self._ids(prompt if prompt.startswith(bos) else prompt.removesuffix(POSITIVE) + POSITIVE, grid)

    def negative_ids(self, prompt: str, grid: Grid) -> Tensor:
        check_known(prompt, self.tokenizer, self.name)
        return self._ids(prompt, grid)

    def rows(self, ids: Tensor, negative: Tensor | None, grid: Grid) -> list[Tensor]:
        if negative is None:
            negative = ids[-1:] if self._tokenizer is None else self._ids(NEGATIVE, grid)
        return [ids, negative]

    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        codes = tokens.view(-1, grid.rows, grid.cols)[..., :-1].clamp(max=self.codes - 1)
        return to_pixels(in_float32(self.model.model.vqmodel.decode), codes)

    def requested(self, ids: Tensor, arguments: Mapping[str, Any]) -> Grid:
        sizes = arguments.get("image_sizes")
        if sizes is None:
            return super().requested(ids, arguments)
        try:
            different = {(int(rows), int(cols)) for rows, cols in sizes}
        except (TypeError, ValueError):
            raise ValueError(
                f"image_sizes must be (rows, columns) of codes for each image, got {shown(sizes)}"
            ) from None
        if len(different) != 1:
            raise ValueError(f"images that are drawn together have one size, not {sorted(different)}")
        ((rows, cols),) = different
        return self.grid((cols * self.pixels_per_code, rows * self.pixels_per_code))

    def size_in(self, ids: Tensor) -> tuple[int, int] | None:
        text = "".join(self._names[number] for number in ids.tolist() if number in self._names)
        header = re.search(r"<\|image start\|>(\d+)\*(\d+)<\|image token\|>$", text)
        return header and (int(header[2]) * self.pixels_per_code, int(header[1]) * self.pixels_per_code)

    def _ids(self, prompt: str, grid: Grid) -> Tensor:
        bos, start, wrapper = special(self.tokenizer, "bos_token", "boi_token", "image_wrapper_token")
        text = f"{bos}{prompt.removeprefix(bos)}{start}{grid.rows}*{grid.cols - 1}{wrapper}"
        return torch.tensor(self.tokenizer(text).input_ids, device=self.device)

    @cached_property
    def _names(self) -> dict[int, str]:
        return {number: word for word, number in self.model.config.vocabulary_map.items()}


def _splits_as_gpt2(tokenizer: PreTrainedTokenizerBase) -> bool:
    """True for the tokenizers that the conversion to transformers' format has written."""
    splits = getattr(getattr(tokenizer, "backend_tokenizer", None), "pre_tokenizer", None)
    return isinstance(splits, ByteLevel) and splits.use_regex


def _split_as_qwen(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A copy that normalises and splits texts as Emu3's own tokenizer does: that of Qwen with more special tokens."""
    mended, qwen = copy.deepcopy(tokenizer), Qwen2Tokenizer().backend_tokenizer
    mended.backend_tokenizer.normalizer = qwen.normalizer
    mended.backend_tokenizer.pre_tokenizer = qwen.pre_tokenizer
    return mended


def _vocabulary(words: int, codes: int) -> dict[str, int]:
    """For a shape that comes without one: the codes are the last words, as in the published model."""
    framing = ("<image>", "<|extra_200|>", "<|extra_201|>", "<|image end|>")
    visual = {f"{IMAGE_TOKEN} {code:06d}|>": words - codes + code for code in range(codes)}
    return {word: number for number, word in enumerate(framing)} | visual
