"""GLM-Image (its autoregressive part), in transformers' format or in the folder of its diffusers pipeline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GlmImageForConditionalGeneration, PreTrainedTokenizerBase

from fewpass.core.canvas import Grid
from fewpass.core.sampling import Sampling
from fewpass.models.base import Model, Prompt
from fewpass.models.checkpoint import Checkpoint, sampling_of
from fewpass.models.glm_image.diffusion import DiffusionDecoder
from fewpass.models.layout import cells
from fewpass.models.vocabulary import ImageVocabulary, as_message, check_known, special
from fewpass.runtime.session import Network

SIDE, CELL, PREVIEW = 1024, 32, 16  # pixels of an image, pixels of a code, codes along a square preview
PART, TEXT = "vision_language_encoder", "processor"  # the folders of a diffusers pipeline that draw tokens
BLANK = 232


class Positions:
    """Position ids in time, height and width: each grid is one moment, as long as its longer side."""

    def __init__(self, grid: Grid, device: torch.device):
        moments, now = [], 0
        for rows, cols in grid.grids:
            row, col = torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")
            moments.append(torch.stack([torch.zeros_like(row), row, col]).flatten(1) + now)
            now += max(rows, cols)
        self.table = torch.cat(moments, 1).to(device)  # [3, N]

    def __call__(self, position: Tensor, offset: Tensor) -> Tensor:
        """[R, n] and [R] -> [3, R, n]; text goes forward in all three."""
        index = position - offset[:, None]
        inside = self.table[:, index.clamp(0, self.table.shape[1] - 1)]
        return torch.where(index < 0, position, inside + offset[:, None])


class GlmImage(Model):
    """A small preview, then the picture itself, in multiples of 32 pixels. No guidance.

    Its codes become pixels by diffusion, in diffusers' `GlmImagePipeline`: that takes the `glm` extra, and a
    checkpoint that is the whole pipeline. Until then images are shown grey.
    """

    kind = GlmImageForConditionalGeneration
    chat_template = True
    guidance = 1.0

    def __init__(self, model: GlmImageForConditionalGeneration, tokenizer: PreTrainedTokenizerBase | None, name: str):
        super().__init__(model, tokenizer, name)
        text = model.config.text_config
        self.closing = (model.config.image_end_token_id,)
        self.sampling = sampling_of(model.generation_config, Sampling(0.9, top_p=0.75))
        self.context = text.max_position_embeddings
        self.codes = model.config.vq_config.num_embeddings
        self.vocabulary = ImageVocabulary(model, torch.arange(self.codes))
        self.diffusion_decoder: DiffusionDecoder | None = None
        codes = F.normalize(model.model.vqmodel.quantize.embedding.weight, dim=-1)
        self.network = self.vocabulary.network(model.model.language_model, codes)

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Self:
        if (checkpoint.folder / "config.json").is_file():
            return super().load(checkpoint)
        tokenizer = checkpoint.inside(TEXT).tokenizer()
        loaded = cls(checkpoint.inside(PART).weights(cls.kind), tokenizer, checkpoint.name)
        loaded.diffusion_decoder = DiffusionDecoder(checkpoint)
        return loaded

    def grid(self, size: tuple[int, int] | None) -> Grid:
        rows, cols = cells(size or (SIDE, SIDE), CELL, self.name)
        ratio = rows / cols
        preview = int(math.sqrt(ratio) * PREVIEW), int(math.sqrt(1 / ratio) * PREVIEW)
        if not all(preview):
            raise ValueError(f"{self.name} cannot draw {cols * CELL}x{rows * CELL}: it is too long for a preview")
        return Grid(rows, cols, self.codes, before=(preview,))

    def network_for(self, grid: Grid) -> Network:
        return replace(self.network, positions=Positions(grid, self.device))

    def prompt_ids(self, prompt: str, grid: Grid) -> Tensor:
        check_known(prompt, self.tokenizer, self.name)
        text = as_message(prompt, self.tokenizer, self.name)
        begin, end, start = special(self.tokenizer, "grid_bos_token", "grid_eos_token", "bos_token")
        sizes = "".join(f"{begin}{rows} {cols}{end}" for rows, cols in reversed(grid.grids))
        return torch.tensor(self.tokenizer(f"{text}{sizes}{start}").input_ids, device=self.device)

    def rows(self, ids: Tensor, negative: Tensor | None, grid: Grid) -> list[Tensor]:
        raise ValueError(f"{self.name} draws without guidance: its scale is 1")

    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        shape = len(tokens), grid.rows * CELL, grid.cols * CELL, 3
        return torch.full(shape, BLANK, dtype=torch.uint8, device=tokens.device)

    def prior_tokens(self, tokens: Tensor, grid: Grid) -> Tensor:
        """The picture's codes, each four times, as diffusers' `prior_token_ids`: [B, 4 * rows * cols]."""
        codes = tokens[:, grid.start :].view(-1, grid.rows, grid.cols)
        return codes.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1)

    def check_pictures(self, prompts: Sequence[Prompt]) -> None:
        if self.diffusion_decoder is None:
            raise ValueError(f"{self.name} is not a whole diffusers pipeline: it draws tokens, not pictures")
        self.diffusion_decoder.check(prompts)

    def pictures(self, tokens: Tensor, grid: Grid, prompts: Sequence[Prompt], seeds: Sequence[int]) -> Tensor:
        self.check_pictures(prompts)
        assert self.diffusion_decoder is not None
        size = grid.cols * CELL, grid.rows * CELL
        # One call per image: in a batch diffusers pads the prompts without a mask, and pixels depend on the others.
        images = zip(self.prior_tokens(tokens, grid), prompts, seeds, strict=True)
        return torch.stack([self.diffusion_decoder(ids, size, str(prompt), seed) for ids, prompt, seed in images])

    def requested(self, ids: Tensor, arguments: Mapping[str, Any]) -> Grid:
        grids = arguments.get("image_grid_thw")
        if grids is None:
            if arguments.get("width") is None and arguments.get("height") is None:
                raise ValueError(f"{self.name}: there is no image_grid_thw, nor width and height, among the inputs")
            return super().requested(ids, arguments)
        different = {tuple(pair.flatten().tolist()) for pair in grids[:: arguments["copies"]].view(-1, 2, 3)}
        if len(different) != 1:
            raise ValueError("images that are drawn together have one size")
        ((_, rows, cols, _, *preview),) = different
        return Grid(rows, cols, self.codes, before=(tuple(preview),))
