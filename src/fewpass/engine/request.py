"""One image to be drawn, and who may draw it beside others."""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from fewpass.core.canvas import Grid
from fewpass.core.protocol import Decoder
from fewpass.core.sampling import Sampling
from fewpass.engine.prompts import written
from fewpass.models.base import Model, Prompt


@dataclass(frozen=True, eq=False)
class Job:
    """All that an image depends on, checked against the model that is to draw it: made by `Pipeline.job`.

    `rows` are the token ids that the model reads: the prompt's first, with guidance those it is contrasted with.
    """

    prompt: Prompt
    negative_prompt: Prompt | None
    rows: Sequence[Tensor]
    grid: Grid
    guidance: float
    decoder: Decoder
    sampling: Sampling
    seed: int

    @property
    def company(self) -> Hashable:
        """Jobs of equal `company` can share forward passes; seeds, prompts and scales of guidance may differ."""
        return self.grid.grids, len(self.rows), self.decoder, self.sampling

    def settings(self, model: Model, size: tuple[int, int]) -> dict[str, Any]:
        """What it takes to draw the image again, with the model's name, device and dtype, and the size in pixels."""
        return {
            "prompt": written(self.prompt),
            "seed": self.seed,
            "model": model.name,
            "decoder": str(self.decoder),
            "lossless": self.decoder.lossless,
            "guidance": self.guidance,
            **asdict(self.sampling),
            "negative_prompt": None if self.negative_prompt is None else written(self.negative_prompt),
            "size": list(size),
            "device": str(model.device),
            "dtype": str(model.model.dtype).removeprefix("torch."),
        }
