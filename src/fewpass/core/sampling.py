"""From logits to the sampling distribution."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fewpass.core.checks import real, whole
from fewpass.core.messages import shown

COLDEST = 1e-10  # below, logits divided by the temperature may overflow

Sampler = Callable[[Tensor], Tensor]  # logits [B, n, V] -> probabilities [B, n, V]


@dataclass(frozen=True)
class Sampling:
    """Temperature, then top-k, top-p and min-p: the order and the tie rules of transformers' logits warpers.

    temperature >= 0; 0, as all below 1e-10, is the arg-max, the lowest id on ties. top_k >= 0; 0 keeps all, and codes
    that tie with the k-th stay. 0 < top_p <= 1; the smallest set of most likely codes that holds more than top_p of the
    mass. 0 <= min_p <= 1; the codes with at least min_p times the probability of the likeliest one (arXiv:2407.01082).

    Raises ValueError naming the value that is out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        temperature, top_p = real("temperature", self.temperature, 0, finite=True), real("top_p", self.top_p)
        top_k = whole("top_k", self.top_k, 0, 2**63 - 1, of="codes")
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], got {shown(self.top_p)}")
        min_p = real("min_p", self.min_p, 0)
        if min_p > 1:
            raise ValueError(f"min_p must lie in [0, 1], got {shown(self.min_p)}")
        for name, value in {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}.items():
            object.__setattr__(self, name, value)

    def __call__(self, logits: Tensor) -> Tensor:
        if self.temperature < COLDEST:
            best = logits.argmax(-1, keepdim=True)
            return torch.zeros_like(logits).scatter_(-1, best, 1.0)
        if self.temperature != 1:
            logits = logits / self.temperature
        if 0 < self.top_k < logits.shape[-1]:
            logits = _top_k(logits, self.top_k)
        if self.top_p < 1:
            logits = logits.masked_fill(self._improbable(logits), -torch.inf)
        if self.min_p > 0:
            p = logits.softmax(-1)
            logits = logits.masked_fill(p < self.min_p * p.amax(-1, keepdim=True), -torch.inf)
        return logits.softmax(-1)

    def _improbable(self, logits: Tensor) -> Tensor:
        """A mask of the tail of codes that holds at most 1 - top_p of the mass."""
        ascending, order = logits.sort(-1)
        out = ascending.softmax(-1).cumsum(-1) <= 1 - self.top_p
        out[..., -1] = False
        return torch.zeros_like(out).scatter_(-1, order, out)


def _top_k(logits: Tensor, k: int) -> Tensor:
    """The k largest of each row [..., V] and those equal to the k-th; the others -inf."""
    if logits.device.type == "cpu" and logits.dtype in (torch.float32, torch.float64):
        kth = torch.from_numpy(np.partition(logits.detach().numpy(), -k)[..., -k, None])  # faster than torch's topk
    else:
        kth = logits.topk(k, sorted=False).values.amin(-1, keepdim=True)
    return logits.masked_fill(logits < kth, -torch.inf)
