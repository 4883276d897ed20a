"""What a drawing gives."""

from dataclasses import dataclass
from typing import Any

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
