"""The finished images of one decoder, and figures of their passes and distributions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewpass.core.canvas import Grid
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
        records = [folder.record(decoder, item) for item in items]
        missing = [item.name for item, record in zip(items, records, strict=True) if record is None]
        assert not missing, missing
        return cls(folder, decoder, lossless, items, [record for record in records if record is not None])

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

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Whether a token cost no pass of its own, [n, N]: it was not the last that its pass committed."""
        free = np.ones(self.committed.shape, bool)
        for image, row in enumerate(self.committed):
            last = {number: position for position, number in enumerate(row)}  # by pass
            free[image, list(last.values())] = False
        return free

    @cached_property
    def share(self) -> Numbers:
        """Share of a forward pass that each token cost, [n, N]: one over the tokens committed in the same pass."""
        return np.array([1 / np.bincount(row)[row] for row in self.committed])

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Indices of the first and second images of the prompts with two."""
        where = {(item.number, item.round): i for i, item in enumerate(self.items)}
        return [(i, where[n, 1]) for (n, r), i in where.items() if r == 0 and (n, 1) in where]


def heat(images: DecoderImages, grid: Grid) -> Numbers:
    """Tokens per pass over the image, [rows, cols]: one over the mean share of a pass."""
    return (1 / images.share.mean(0))[grid.start :].reshape(grid.rows, grid.cols)


def bounds(everything: Sequence[DecoderImages], bins: int) -> Numbers:
    """Entropies that cut the tokens of all decoders into `bins` bins of about equal size."""
    pooled = np.concatenate([images.entropy.ravel() for images in everything])
    return np.unique(np.quantile(pooled, np.linspace(0, 1, bins + 1)[1:-1]))


def acceptance_by_entropy(images: DecoderImages, cuts: Numbers) -> tuple[Numbers, Numbers]:
    """Mean entropy in nats, and share of accepted tokens, in the bins that `cuts` separate, without empty bins."""
    entropy, free = images.entropy.ravel(), images.free.ravel()
    bin_ = np.searchsorted(cuts, entropy)
    means = np.array([(entropy[bin_ == n].mean(), free[bin_ == n].mean()) for n in np.unique(bin_)])
    return means[:, 0], means[:, 1]
