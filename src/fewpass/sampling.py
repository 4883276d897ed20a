"""From logits to the law that tokens are drawn from: the only place where probabilities are made."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fewpass.largest import largest

COLDEST = 1e-10  # below, logits divided by the temperature may overflow

Law = Callable[[Tensor], Tensor]  # logits [B, n, V] -> probabilities [B, n, V]


@dataclass(frozen=True)
class Sampling:
    """Temperature, then top-k, then top-p: the order and the tie rules of transformers' logits warpers.

    temperature >= 0; 0, as all below 1e-10, is the arg-max, the lowest id on ties. top_k >= 0; 0 keeps all, and codes
    that tie with the k-th stay. 0 < top_p <= 1; the smallest set of most likely codes that holds more than top_p of the
    mass.
    Raises ValueError naming the value that is out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be a number >= 0, not {self.temperature}")
        if self.top_k != int(self.top_k) or self.top_k < 0:
            raise ValueError(f"top_k must be a whole number >= 0 (0 keeps every code), not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], not {self.top_p}")

    def __call__(self, logits: Tensor) -> Tensor:
        if self.temperature < COLDEST:
            best = logits.argmax(-1, keepdim=True)
            return torch.zeros_like(logits).scatter_(-1, best, 1.0)
        if self.temperature != 1:
            logits = logits / self.temperature
        if 0 < self.top_k < logits.shape[-1]:
            logits = largest(logits, self.top_k)
        if self.top_p < 1:
            logits = logits.masked_fill(self._improbable(logits), -torch.inf)
        return logits.softmax(-1)

    def _improbable(self, logits: Tensor) -> Tensor:
        """The codes of the tail that holds at most 1 - top_p of the mass."""
        ascending, order = logits.sort(-1)
        out = ascending.softmax(-1).cumsum(-1) <= 1 - self.top_p
        out[..., -1] = False
        return torch.zeros_like(out).scatter_(-1, order, out)
