"""The interface between a model family and everything else."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fewpass.core.canvas import Grid
from fewpass.core.checks import read_size
from fewpass.core.checks import scale as check_scale
from fewpass.core.sampling import Sampling
from fewpass.models.checkpoint import Checkpoint, untrained_network
from fewpass.models.vocabulary import ImageVocabulary, known_text
from fewpass.runtime.session import Network, PromptSession
from fewpass.runtime.transformer import input_device

EDGES = (None, 256, 384, 512, 768, 1024)  # pixels
# A text, the number of a class, token ids [P], or features of a text encoder [P, C].
Prompt = str | int | Tensor


class Model(ABC):
    """A checkpoint of one family, loaded: a `model` of transformers and its tokenizer, if there is one.

    `guidance` is the scale the model is meant to be used with, 1 for none; `sampling` is how its authors draw.
    `context` is the number of tokens, prompt and image together, that it can read.
    """

    kind: ClassVar[type[PreTrainedModel]]  # the class of `model`
    vocabulary: ImageVocabulary | None = None  # the image tokens in that of `model`, whose `generate` takes decoders
    chat_template: ClassVar[bool] = False  # prompts go through that of the tokenizer, if it has one
    closing: tuple[int, ...] = ()  # token ids that follow every image
    size_source: str = ""  # source of the size, if neither the configuration nor the authors
    labels: int = 0  # number of classes; 0 for models that read text
    classes: Sequence[str] = ()  # their names, if they have names
    notes: tuple[str, ...] = ()  # repairs made while the checkpoint was read, a line each

    guidance: float
    sampling: Sampling
    context: int
    network: Network

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, name: str):
        self.model, self._tokenizer, self.name = model.eval(), tokenizer, name

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Self:
        """The model in a folder; ValueError names a missing part."""
        tokenizer = checkpoint.tokenizer()  # before the weights, which take long
        return cls(checkpoint.weights(cls.kind), tokenizer, checkpoint.name)

    @classmethod
    def untrained(cls, config: Mapping[str, Any], name: str, device: torch.device, dtype: torch.dtype) -> Self:
        """The model that a config.json describes, with random weights and no tokenizer.

        Raises:
            ValueError: The configuration does not describe a model of this class.
        """
        return cls(untrained_network(cls.kind, {**config, "name_or_path": name}, device, dtype), None, name)

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        return input_device(self.model)

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Raises ValueError if the model came without one."""
        if self._tokenizer is None:
            raise ValueError(f"{self.name} came without a tokenizer: it takes token ids only")
        return self._tokenizer

    @abstractmethod
    def grid(self, size: tuple[int, int] | None) -> Grid:
        """The layout of an image of `size` (width, height) in pixels, the model's own if None.

        Raises ValueError for a size that the model cannot draw.
        """

    @abstractmethod
    def prompt_ids(self, prompt: str, grid: Grid) -> Tensor:
        """Token ids [P] that the model reads before the image of `prompt`.

        Raises ValueError for a prompt that the model cannot read.
        """

    def negative_ids(self, prompt: str, grid: Grid) -> Tensor:
        """The token ids [P] of a text that guidance leads away from. Raises ValueError as `prompt_ids` does."""
        return self.prompt_ids(prompt, grid)

    def class_ids(self, number: int) -> Tensor:
        """Token ids of a class by its number; ValueError if the model has no such class."""
        raise ValueError(
            f"{self.name} draws no classes: a prompt must be a text or a tensor of token ids, got {number}"
        )

    def check_prompt(self, prompt: Tensor) -> None:
        """Raise ValueError if the model does not read such tensors, whether a tokenizer or the user has made them."""
        if prompt.is_floating_point():
            raise ValueError(f"{self.name} reads token ids [P], not features {list(prompt.shape)}")
        words, (least, most) = self.model.get_input_embeddings().num_embeddings, prompt.aminmax()
        if least < 0 or most >= words:
            wrong = int(least if least < 0 else most)
            raise ValueError(f"token ids must be from 0 to {words - 1} for {self.name}, got {wrong}")

    def sample_prompt(self) -> str:
        """A prompt that the model can read: a class, or words that are in its vocabulary."""
        return "0" if self.labels else known_text(self._tokenizer)

    def random_prompt(self, length: int, chance: torch.Generator) -> Tensor:
        """A prompt without meaning, of `length` tokens if there is a choice."""
        words = self.model.get_input_embeddings().num_embeddings
        return torch.randint(words, (length,), generator=chance).to(self.device)

    @abstractmethod
    def rows(self, ids: Tensor, negative: Tensor | None, grid: Grid) -> list[Tensor]:
        """The two rows of a guided image, token ids: the prompt's `ids`, and the unconditional ones.

        Raises ValueError if there is no guidance.
        """

    @abstractmethod
    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Canvas tokens [B, N] as pictures: uint8 [B, H, W, 3]."""

    def pictures(self, tokens: Tensor, grid: Grid, prompts: Sequence[Prompt], seeds: Sequence[int]) -> Tensor:
        """Finished canvases as pictures, where that takes more than their tokens. [B, H, W, 3] uint8."""
        return self.pixels(tokens, grid)

    def check_pictures(self, prompts: Sequence[Prompt]) -> None:  # noqa: B027  most families can
        """Raise ValueError if tokens drawn for these prompts could not be made into pictures."""

    def check_ready(self) -> None:
        """Raise ValueError if a part of the model is missing without which no text becomes a picture."""
        text, grid = self.sample_prompt(), self._any_grid()
        self.check_pictures([text])
        ids = self._read(text, grid, self.prompt_ids)
        if self.guidance != 1:
            self.rows(ids, None, grid)

    def _any_grid(self) -> Grid:
        """The layout of the model's own size; of another one where it has none of its own."""
        for edge in EDGES:
            with suppress(ValueError):
                return self.grid((edge, edge) if edge else None)
        return self.grid(None)

    def size_in(self, ids: Tensor) -> tuple[int, int] | None:
        """The size (width, height) in pixels that a prompt's token ids [P] name; None if they name none."""
        return None

    def requested(self, ids: Tensor, arguments: Mapping[str, Any]) -> Grid:
        """The layout of a call of `generate`, with a prompt `ids` [P] and these arguments."""
        width, height = arguments.get("width"), arguments.get("height")
        if (width is None) != (height is None):
            raise ValueError(f"give width and height, or neither; not {width} and {height}")
        return self.grid(self.size_in(ids) if width is None or height is None else read_size((width, height)))

    def opening(self, ids: Tensor, grid: Grid) -> tuple[int, ...]:
        """Token ids between a prompt `ids` [P] of `generate` and the first image token."""
        return ()

    def vocabulary_ids(self, tokens: Tensor) -> Tensor:
        """Canvas tokens as ids of the model's vocabulary, as `generate` returns them: [B, N] to [B, N]."""
        return tokens if self.vocabulary is None else self.vocabulary.ids[tokens]

    def network_for(self, grid: Grid) -> Network:
        """The network, for models whose position ids depend on the layout."""
        return self.network

    def embed(self, ids: Tensor) -> Tensor:
        """Inputs of the language model for a prompt's token ids: [P] -> [P, D]."""
        return self.model.get_input_embeddings()(ids.to(self.device))

    def open(
        self, prompts: Sequence[Prompt], grid: Grid, guidance: float, negatives: Sequence[Prompt | None]
    ) -> PromptSession:
        """A session that continues one prompt for each image; `guidance` is the scale, 1 for none.

        Raises ValueError if a prompt and the image do not fit into the context.
        """
        rows = [self.read(*pair, grid, guidance) for pair in zip(prompts, negatives, strict=True)]
        return self.open_rows(rows, grid, [guidance] * len(rows))

    def read(self, prompt: Prompt, negative: Prompt | None, grid: Grid, guidance: float) -> list[Tensor]:
        """The rows of one image, token ids: the conditional one, with guidance the unconditional one behind it.

        Raises ValueError if they cannot be read, or do not fit together with the image, or the scale is out of range.
        """
        check_scale(guidance)
        ids = self._read(prompt, grid, self.prompt_ids)
        rows = [ids]
        if guidance != 1:
            rows = self.rows(ids, None if negative is None else self._read(negative, grid, self.negative_ids), grid)
        longest = max(map(len, rows))
        if longest + grid.size > self.context:
            raise ValueError(
                f"{self.name} reads {self.context} tokens: a prompt of {longest} and an image of {grid.size} do not fit"
            )
        return rows

    def open_rows(self, rows: Sequence[Sequence[Tensor]], grid: Grid, guidance: Sequence[float]) -> PromptSession:
        """A session that continues rows from `read`, as many for each image; `guidance` is each image's own scale."""
        weights = torch.tensor([[scale] * (len(rows[0]) - 1) for scale in guidance], device=self.device)
        embedded = [[self.embed(row) for row in image] for image in rows]
        return PromptSession.open(self.network_for(grid), grid, embedded, weights)

    def _read(self, prompt: Prompt, grid: Grid, encode: Callable[[str, Grid], Tensor]) -> Tensor:
        if isinstance(prompt, str):
            ids = encode(prompt, grid)
            self.check_prompt(ids)
            return ids
        if not isinstance(prompt, Tensor):
            return self.class_ids(int(prompt))
        self.check_prompt(prompt)
        size = self.size_in(prompt)
        if size is not None and self.grid(size).grids != grid.grids:
            raise ValueError(f"{self.name}: the prompt's token ids name the size {size[0]}x{size[1]}: request the same")
        return prompt.to(self.device)
