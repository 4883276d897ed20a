"""LlamaGen (arXiv 2406.06525), in its authors' own format."""

from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from fewpass.core.canvas import Grid
from fewpass.core.checks import SIDE, scale, whole
from fewpass.core.messages import shown
from fewpass.core.sampling import Sampling
from fewpass.models.base import Model
from fewpass.models.checkpoint import Checkpoint
from fewpass.models.class_names import class_number, imagenet_classes
from fewpass.models.files import read_json
from fewpass.models.layout import cells, own_name, size_or
from fewpass.models.llamagen.captions import FOLDER, PUBLISHED, TextEncoder
from fewpass.models.llamagen.network import LlamaGenForImageGeneration
from fewpass.models.llamagen.weights import load_llamagen
from fewpass.models.pixels import in_float32, to_pixels
from fewpass.runtime.session import Network

IMAGENET_LABELS = 1000  # the published class-conditional models
SETTINGS = "fewpass.json"


class GridPositions:
    """Position ids of rows and columns [2, R, n]; -1 before the image."""

    def __init__(self, grid: Grid):
        self.cols = grid.cols

    def __call__(self, position: Tensor, offset: Tensor) -> Tensor:
        index = position - offset[:, None]
        return torch.stack([index // self.cols, index % self.cols]).masked_fill(index < 0, -1)


class LlamaGen(Model):
    """A square image behind a class label, or behind the features of a caption; guidance contrasts with none.

    A prompt is the number or the name of a class; or a caption, or its features [P, C] as T5 gives them. The row
    without a caption has as many slots of the learned stand-in as the caption has tokens, its last ones: in the
    authors' script both rows have the same ones of their 120 slots masked.
    """

    kind = LlamaGenForImageGeneration

    def __init__(self, model: LlamaGenForImageGeneration, tokenizer: PreTrainedTokenizerBase | None, name: str):
        super().__init__(model, tokenizer, name)
        self.labels = model.config.labels
        self.guidance, self.sampling = (4.0, Sampling(top_k=2000)) if self.labels else (7.5, Sampling(top_k=1000))
        self.classes = imagenet_classes() if self.labels == IMAGENET_LABELS else ()
        self.context = 2**20  # its positions have no limit
        self.encoder: TextEncoder | None = None
        embed, body = model.get_input_embeddings(), model.language_model
        self.network = Network.of(body, embed, model.lm_head, model.vqmodel.codes)

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Self:
        loaded = cls(load_llamagen(checkpoint), None, checkpoint.name)
        if loaded.model.config.side:
            loaded.size_source = f"from the name of its file, {own_name(loaded.model.config.name_or_path)}"
        if (checkpoint.home / SETTINGS).exists():
            loaded._apply(checkpoint.home / SETTINGS)
        if not loaded.labels:
            config = loaded.model.config
            loaded.encoder = TextEncoder.find(checkpoint, config.caption_dim, config.caption_tokens)
        return loaded

    def _apply(self, path: Path) -> None:
        """Take size, names of classes, guidance and sampling from a fewpass.json.

        Raises ValueError naming the file and the key of a value that does not fit the model.
        """
        given = {key: value for key, value in read_json(path).items() if value is not None}
        try:
            self.guidance = scale(given.get("guidance", self.guidance))
            self.sampling = replace(self.sampling, **{key: given[key] for key in vars(self.sampling) if key in given})
            if "size" in given:
                self._draw_only(whole("size", given["size"], 1, SIDE, of="pixels"))
            if "classes" in given:
                self._name_classes(given["classes"])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def _draw_only(self, size: int) -> None:
        side, rest = divmod(size, self.pixels_per_code)
        if rest:
            raise ValueError(f"size must be a multiple of {self.pixels_per_code}, got {size}")
        self.model.config.side, self.size_source = side, f"from {SETTINGS}"

    def _name_classes(self, names: object) -> None:
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError(f"classes must be a list of names, got {shown(names)}")
        if len(names) != self.labels:
            expected = f"{self.labels} names" if self.labels else "absent, since the model reads texts"
            raise ValueError(f"classes must be {expected}, got {len(names)} names")
        self.classes = tuple(names)

    @property
    def pixels_per_code(self) -> int:
        return 2 ** (len(self.model.config.vq["channel_multiplier"]) - 1)

    def grid(self, size: tuple[int, int] | None) -> Grid:
        edge = self.pixels_per_code
        side = self.model.config.side * edge
        width, height = size_or(size, side, own_name(self.model.config.name_or_path))
        if side and (width, height) != (side, side):
            why = f" ({self.size_source})" * bool(self.size_source)
            raise ValueError(f"{self.name} draws {side}x{side} only{why}, not {width}x{height}")
        rows, cols = cells((width, height), edge, self.name)
        if rows != cols:
            raise ValueError(f"{self.name} draws squares, not {cols * edge}x{rows * edge}")
        return Grid(rows, cols, self.model.config.vocab_size)

    def network_for(self, grid: Grid) -> Network:
        return replace(self.network, positions=GridPositions(grid))

    def prompt_ids(self, prompt: str, grid: Grid) -> Tensor:
        if self.labels:
            if prompt.strip().isdecimal():
                return self.class_ids(int(prompt))
            if not self.classes:
                raise ValueError(f"{self.name} draws a class, a number from 0 to {self.labels - 1}, not {prompt!r}")
            return self.class_ids(class_number(prompt, self.classes, self.name))
        if self.encoder is None:
            raise ValueError(
                f"{self.name} reads prompts through {PUBLISHED}, which is neither in a folder {FOLDER} beside it nor"
                " downloaded: without, it takes features [P, C]"
            )
        return self.encoder(prompt)

    def class_ids(self, number: int) -> Tensor:
        if not self.labels:
            return super().class_ids(number)
        if not 0 <= number < self.labels:
            raise ValueError(f"{self.name} draws a class, a number from 0 to {self.labels - 1}, not {number}")
        return torch.tensor([number], device=self.device)

    def check_prompt(self, prompt: Tensor) -> None:
        if self.labels:
            if prompt.shape != (1,) or prompt.is_floating_point() or not 0 <= int(prompt) <= self.labels:
                raise ValueError(f"{self.name} draws one class of 0 to {self.labels - 1}, not {prompt.tolist()}")
            return
        tokens, dim = self.model.config.caption_tokens, self.model.config.caption_dim
        if not prompt.is_floating_point() or prompt.shape[1] != dim or len(prompt) > tokens:
            raise ValueError(
                f"{self.name} reads features [P, {dim}] of at most {tokens} tokens, not {list(prompt.shape)}"
            )

    def random_prompt(self, length: int, chance: torch.Generator) -> Tensor:
        if self.labels:
            return torch.randint(self.labels, (1,), generator=chance).to(self.device)
        return torch.randn(length, self.model.config.caption_dim, generator=chance).to(self.device)

    def rows(self, ids: Tensor, negative: Tensor | None, grid: Grid) -> list[Tensor]:
        if negative is not None:
            return [ids, negative]
        nothing = torch.tensor([self.labels]) if self.labels else self.model.captions.nothing[-len(ids) :]
        return [ids, nothing.to(self.device)]

    def embed(self, ids: Tensor) -> Tensor:
        if self.labels:
            return self.model.labels(ids.to(self.device))
        return self.model.captions(ids.to(self.device, self.model.captions.nothing.dtype))

    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        return to_pixels(in_float32(self.model.vqmodel), tokens.view(-1, grid.rows, grid.cols), rounded=True)
