"""The codebook of the VQ tokenizer: spherical k-means, updated by moving averages.

JanusVQVAE normalises codes when it decodes, and chooses the code of the least distance when it encodes. As these codes
have unit length, both agree: the nearest code is the one with the largest cosine.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class Codebook:
    """Moving averages for the codes, which are the weights of the quantiser's embedding."""

    def __init__(self, codes: Tensor, decay: float = 0.98, dead_after: int = 200):
        self.codes = codes  # [V, D], unit rows, changed in place
        self.decay, self.dead_after = decay, dead_after
        self.count = torch.ones(len(codes), device=codes.device)
        self.total = codes.clone()
        self.idle = torch.zeros(len(codes), device=codes.device)

    @torch.no_grad()
    def fit(self, latents: Tensor, rounds: int = 20) -> None:
        """k-means on unit latents [N, D], initialised with distinct points."""
        latents = _distinct(latents)
        picked = torch.randperm(len(latents), device=latents.device)[: len(self.codes)]
        self.codes[: len(picked)] = latents[picked]
        for _ in range(rounds):
            self._average(latents, decay=0.0)
            self._revive(latents, self.count < 0.5)
        self.count.fill_(1.0)
        self.total.copy_(self.codes)

    def index(self, latents: Tensor) -> Tensor:
        return (latents @ self.codes.T).argmax(-1)

    @torch.no_grad()
    def update(self, latents: Tensor, index: Tensor) -> None:
        """One step of moving averages on the latents of a batch; unused codes are replaced by latents."""
        self._average(latents, self.decay, index)
        used = torch.bincount(index, minlength=len(self.codes)) > 0
        self.idle = torch.where(used, 0, self.idle + 1)
        self._revive(latents, self.idle > self.dead_after)

    def _average(self, latents: Tensor, decay: float, index: Tensor | None = None) -> None:
        index = self.index(latents) if index is None else index
        count = torch.bincount(index, minlength=len(self.codes)).to(latents)
        total = torch.zeros_like(self.codes).index_add_(0, index, latents)
        self.count.mul_(decay).add_(count, alpha=1 - decay)
        self.total.mul_(decay).add_(total, alpha=1 - decay)
        self.codes.copy_(F.normalize(self.total, dim=-1))

    def _revive(self, latents: Tensor, dead: Tensor) -> None:
        where = dead.nonzero().squeeze(1)
        if len(where) == 0:
            return
        # preferably latents far from every code: a typical latent would only duplicate a good code
        misfit = 1 - (latents @ self.codes.T).amax(-1)
        source = torch.multinomial(misfit.clamp(min=1e-6) ** 2, min(len(where), len(latents)))
        where = where[: len(source)]
        self.codes[where] = latents[source]
        self.total[where], self.count[where], self.idle[where] = latents[source], 1.0, 0.0

    def state_dict(self) -> dict[str, Tensor]:
        return {"count": self.count, "total": self.total, "idle": self.idle}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, value in state.items():
            getattr(self, name).copy_(value)


def _distinct(latents: Tensor) -> Tensor:
    """Latents without near duplicates: otherwise flat background would get most of the codes."""
    rounded = (latents * 50).round()
    _, inverse = rounded.unique(dim=0, return_inverse=True)
    order = torch.full((int(inverse.max()) + 1,), -1, device=latents.device).scatter(
        0, inverse, torch.arange(len(latents), device=latents.device)
    )
    return latents[order]
