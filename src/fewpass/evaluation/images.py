"""The finished images of one decoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewpass.evaluation.folder import Item, RunFolder

Numbers = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class DecoderImages:
    """The n images of one decoder, of N tokens each, in the order of `items`."""

    folder: RunFolder
    decoder: str
    lossless: bool | None
    items: Sequence[Item]
    records: Sequence[dict[str, Any]]

    @classmethod
    def read(cls, folder: RunFolder, decoder: str, lossless: bool | None, items: Sequence[Item]) -> "DecoderImages":
        """Read the records in the files of all items."""
        records = [record for item in items if (record := folder.record(decoder, item)) is not None]
        assert len(records) == len(items)
        return cls(folder, decoder, lossless, items, records)

    def picture(self, i: int) -> Image.Image:
        """The image of item `i`."""
        with Image.open(self.folder.image(self.decoder, self.items[i])) as image:
            return image.convert("RGB")

    @cached_property
    def committed(self) -> NDArray[np.integer]:
        """The pass at which each token became final, [n, N]."""
        return np.array([record["trace"]["committed"] for record in self.records])

    @cached_property
    def passes(self) -> Numbers:
        """Forward passes of each image, with the prefill."""
        return self.committed.max(1).astype(float)

    @cached_property
    def tokens_per_pass(self) -> Numbers:
        """Tokens per pass of each image."""
        return self.committed.shape[1] / self.passes

    @cached_property
    def seconds(self) -> Numbers:
        """Seconds of each image; images of one batch share them equally."""
        return np.array([r["trace"]["seconds"] / r["trace"]["images_together"] for r in self.records])

    @cached_property
    def tokens(self) -> NDArray[np.integer]:
        """The tokens, [n, N]."""
        return np.array([record["tokens"] for record in self.records])

    @cached_property
    def logprobs(self) -> Numbers:
        """Log-probabilities of the tokens under p, [n, N] in nats; NaN for forbidden tokens."""
        return np.array([record["logprobs"] for record in self.records], dtype=float)

    @cached_property
    def entropy(self) -> Numbers:
        """Entropy of p at each token, given the tokens before it, [n, N] in nats."""
        return np.array([record["entropy"] for record in self.records], dtype=float)

    @cached_property
    def nll(self) -> Numbers:
        """Negative log-likelihood of each image in nats per token, without forbidden tokens."""
        return -np.ma.masked_invalid(self.logprobs).mean(1).filled(np.nan)

    @cached_property
    def forbidden(self) -> int:
        """Number of tokens with probability 0 under p."""
        return int(np.isnan(self.logprobs).sum())
