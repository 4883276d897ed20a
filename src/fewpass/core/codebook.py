"""How alike image codes are: all that a relaxed test needs to know of a model, besides its laws."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

CHUNK = 1024  # codes compared with all others at a time


class Codebook:
    """What the codes stand for in the picture, and in the eyes of the language model.

    `vectors` [codes, D] are those that the picture is decoded from; `embed` turns tokens [...] into what the language
    model reads in their place [..., E].
    """

    def __init__(self, vectors: Tensor, embed: Callable[[Tensor], Tensor]):
        self.vectors, self.embed = vectors.detach(), embed
        self._nearest = torch.empty(len(vectors), 0, dtype=torch.int32)

    def nearest(self, k: int) -> Tensor:
        """The `k` codes nearest to each, the closest first and itself left out; all others if there are no more.

        [codes, k] int32, found when first asked for. Raises ValueError if the codebook is offloaded.
        """
        if self.vectors.is_meta:
            raise ValueError("the codebook is offloaded, so no code has neighbours: load the model without offloading")
        k = min(k, len(self.vectors) - 1)
        if self._nearest.shape[1] < k:
            chunks = torch.arange(len(self.vectors), device=self.vectors.device).split(CHUNK)
            self._nearest = torch.cat([self._closest(codes, k) for codes in chunks])
        return self._nearest[:, :k].to(self.vectors.device)

    def _closest(self, codes: Tensor, k: int) -> Tensor:
        vectors = self.vectors.float()
        apart = torch.cdist(vectors[codes], vectors).scatter_(1, codes[:, None], torch.inf)
        return apart.topk(k, largest=False).indices.int()


@runtime_checkable
class WithCodebook(Protocol):
    """A session that knows its model's codebook, or says None."""

    @property
    def codebook(self) -> Codebook | None:
        """None if the model has none."""


def codebook_of(session: object) -> Codebook | None:
    """The codebook of a session's model, None if it has none or does not say."""
    return session.codebook if isinstance(session, WithCodebook) else None
