"""What a call drew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fewpass.trace import Trace


@dataclass(eq=False)
class Result:
    """What a call drew: `images`, their `tokens` [B, N] int64 and `seeds`, and what it cost.

    `logprobs` [B, N] are log-probabilities under the final law, if they were asked for. A drawing that was stopped
    has -1 for tokens, 0 for log-probabilities and grey for pixels that were not final. `settings` are what it takes
    to draw image i again: its prompt, its seed and everything they share.
    """

    images: list[Image.Image]
    tokens: Tensor
    seeds: list[int]
    trace: Trace
    settings: list[dict[str, Any]]
    logprobs: Tensor | None = None

    @classmethod
    def joined(cls, parts: Sequence["Result"]) -> "Result":
        """All images of `parts`, which were drawn one after the other."""
        scores = [part.logprobs for part in parts if part.logprobs is not None]
        return cls(
            [image for part in parts for image in part.images],
            torch.cat([part.tokens for part in parts]),
            [seed for part in parts for seed in part.seeds],
            Trace.joined([part.trace for part in parts]),
            [settings for part in parts for settings in part.settings],
            torch.cat(scores) if scores else None,
        )
