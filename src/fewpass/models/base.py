"""What the pipeline needs to know of a model family."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from fewpass.canvas import Grid
from fewpass.session import Network, PromptSession


class Model(ABC):
    """A checkpoint of one family, loaded.

    `guidance` is the scale the model is meant to be used with, 1 for none.
    """

    name: str
    guidance: float
    network: Network
    device: torch.device

    @abstractmethod
    def grid(self, size: tuple[int, int] | None) -> Grid:
        """The layout of an image of `size` (width, height) in pixels, the model's own if None.

        Raises ValueError for a size that the model cannot draw.
        """

    @abstractmethod
    def rows(self, prompt: str, negative: str | None, guided: bool) -> list[Tensor]:
        """The rows of one image: embedded prompts [length, D], the unconditional one last if `guided`.

        Raises ValueError for a prompt that the model cannot read.
        """

    @abstractmethod
    def pixels(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Tokens [B, N] as pictures: uint8 [B, H, W, 3]."""

    def open(
        self, prompts: Sequence[str], grid: Grid, guidance: float, negatives: Sequence[str | None]
    ) -> PromptSession:
        """A session that continues one prompt for each image."""
        guided = guidance != 1
        rows = [self.rows(prompt, negative, guided) for prompt, negative in zip(prompts, negatives, strict=True)]
        weights = torch.full((len(rows), len(rows[0]) - 1), guidance, device=self.device)
        return PromptSession.open(self.network, grid, rows, weights)
