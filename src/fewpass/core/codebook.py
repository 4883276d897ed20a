"""The codebook: similarity of image codes, for relaxed acceptance tests."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

CHUNK = 1024  # codes compared with all others at a time
DIMENSIONS = 8  # principal components in the features of a code


class Codebook:
    """Vectors of the image codes.

    `vectors` [codes, D] are those of the VQ decoder; `embed` gives the language model's embeddings [..., E] of tokens
    [...].
    """

    def __init__(self, vectors: Tensor, embed: Callable[[Tensor], Tensor]):
        self.vectors, self.embed = vectors.detach(), embed
        self._nearest = torch.empty(len(vectors), 0, dtype=torch.int32)

    def nearest(self, k: int) -> Tensor:
        """The `k` nearest other codes of each code, the closest first: [codes, min(k, codes - 1)] int32.

        Computed once. Raises ValueError if the codebook is offloaded.
        """
        if self.vectors.is_meta:
            raise ValueError("the codebook is offloaded, so no code has neighbours: load the model without offloading")
        k = min(k, len(self.vectors) - 1)
        if self._nearest.shape[1] < k:
            chunks = torch.arange(len(self.vectors), device=self.vectors.device).split(CHUNK)
            self._nearest = torch.cat([self._closest(codes, k) for codes in chunks])
        return self._nearest[:, :k].to(self.vectors.device)

    @cached_property
    def features(self) -> Tensor | None:
        """Numbers on which properties of a code depend nearly linearly, [codes, F]; None if the codebook is offloaded.

        At most 8 principal components of the vectors, and the products of two of them.
        """
        if self.vectors.is_meta:
            return None
        x = self.vectors.float() - self.vectors.float().mean(0)
        if x.shape[1] > DIMENSIONS:
            x = x @ torch.linalg.eigh(x.T @ x).eigenvectors[:, -DIMENSIONS:]
        x = x / x.square().sum(1).mean().sqrt().clamp(min=1e-12)
        i, j = torch.triu_indices(x.shape[1], x.shape[1], device=x.device)
        return torch.cat([x, x[:, i] * x[:, j]], 1)

    def _closest(self, codes: Tensor, k: int) -> Tensor:
        vectors = self.vectors.float()
        apart = torch.cdist(vectors[codes], vectors).scatter_(1, codes[:, None], torch.inf)
        return apart.topk(k, largest=False).indices.int()
