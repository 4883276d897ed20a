"""Where in the image, and at which tokens, decoders are fast."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewpass.core.canvas import Grid
from fewpass.evaluation.drawings import Drawings, Numbers


def tokens_per_pass(drawings: Drawings) -> Numbers:
    """How many tokens a pass makes final around each position: one over the mean cost of the token there, [N]."""
    return 1 / drawings.share.mean(0)


def heat(drawings: Drawings, grid: Grid) -> Numbers:
    """The same over the picture, [rows, cols]."""
    return tokens_per_pass(drawings)[grid.start :].reshape(grid.rows, grid.cols)


def smooth(values: Numbers, width: int) -> Numbers:
    """A moving average over `width` neighbours, fewer at the ends."""
    kernel = np.ones(max(1, width))
    return np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")


def acceptance(drawings: Drawings) -> Numbers:
    """The share of images in which the token at each position cost no pass of its own, [N]."""
    return drawings.free.mean(0)


@dataclass(frozen=True, eq=False)
class ByEntropy:
    """Acceptance in bins of equally many tokens: mean entropy in nats, share of tokens that cost no pass."""

    entropy: Numbers
    accepted: Numbers


def bounds(everything: Sequence[Drawings], bins: int) -> Numbers:
    """Entropies that cut all tokens of all decoders into bins of about equal size."""
    pooled = np.concatenate([drawings.entropy.ravel() for drawings in everything])
    return np.unique(np.quantile(pooled, np.linspace(0, 1, bins + 1)[1:-1]))


def acceptance_by_entropy(drawings: Drawings, cuts: Numbers) -> ByEntropy:
    entropy, free = drawings.entropy.ravel(), drawings.free.ravel()
    place = np.searchsorted(cuts, entropy)
    filled = [number for number in range(len(cuts) + 1) if (place == number).any()]
    means = [(entropy[place == number].mean(), free[place == number].mean()) for number in filled]
    return ByEntropy(np.array([m[0] for m in means]), np.array([m[1] for m in means]))
