"""What was drawn, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewpass.evaluation.folder import RunFolder
from fewpass.evaluation.items import Item

Numbers = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Drawings:
    """The n images of one decoder, of N tokens each, in the order of `items`."""

    folder: RunFolder
    decoder: str
    lossless: bool | None
    items: Sequence[Item]
    records: Sequence[dict[str, Any]]

    @classmethod
    def read(cls, folder: RunFolder, decoder: str, lossless: bool | None, items: Sequence[Item]) -> "Drawings":
        records = [folder.record(decoder, item) for item in items]
        missing = [item.name for item, record in zip(items, records, strict=True) if record is None]
        assert not missing, missing
        return cls(folder, decoder, lossless, items, [record for record in records if record is not None])

    @property
    def name(self) -> str:
        return self.decoder.partition("(")[0]

    def picture(self, i: int) -> Image.Image:
        with Image.open(self.folder.image(self.decoder, self.items[i])) as image:
            return image.convert("RGB")

    @cached_property
    def committed(self) -> NDArray[np.integer]:
        """The pass at which each token became final, [n, N]."""
        return np.array([record["trace"]["committed"] for record in self.records])

    @cached_property
    def passes(self) -> Numbers:
        return self.committed.max(1).astype(float)

    @cached_property
    def tokens_per_pass(self) -> Numbers:
        return self.committed.shape[1] / self.passes

    @cached_property
    def seconds(self) -> Numbers:
        """Per image; images that were drawn together share the time equally."""
        return np.array([r["trace"]["seconds"] / r["trace"]["images_together"] for r in self.records])

    @cached_property
    def tokens(self) -> NDArray[np.integer]:
        return np.array([record["tokens"] for record in self.records])

    @cached_property
    def logprobs(self) -> Numbers:
        """Of each token under the law of the model, [n, N] in nats; -inf for tokens that the law forbids."""
        rows = [[-np.inf if value is None else value for value in record["logprobs"]] for record in self.records]
        return np.array(rows, dtype=float)

    @cached_property
    def entropy(self) -> Numbers:
        """Of the model's law at each token, given the tokens before it, [n, N] in nats."""
        return np.array([record["entropy"] for record in self.records], dtype=float)

    @cached_property
    def nll(self) -> Numbers:
        """Nats per token of each image, tokens that the law forbids left out."""
        return -np.ma.masked_invalid(self.logprobs).mean(1).filled(np.nan)

    @cached_property
    def forbidden(self) -> int:
        """Tokens that have probability 0 under the law of the model."""
        return int(np.isneginf(self.logprobs).sum())

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Tokens that cost no pass of their own, [n, N]: all that became final in a pass but the last of them."""
        later = self.committed[:, ::-1]
        last = np.zeros(later.shape, bool)
        for image, row in enumerate(later):
            last[image, np.unique(row, return_index=True)[1]] = True
        return ~last[:, ::-1]

    @cached_property
    def share(self) -> Numbers:
        """The part of a forward pass that each token cost, [n, N]: one over the tokens final in the same pass."""
        share = np.empty(self.committed.shape)
        for image, row in enumerate(self.committed):
            share[image] = 1 / np.bincount(row)[row]
        return share

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The images that show a prompt for the first and for the second time."""
        where = {(item.number, item.round): i for i, item in enumerate(self.items)}
        return [(i, where[n, 1]) for (n, r), i in where.items() if r == 0 and (n, 1) in where]
