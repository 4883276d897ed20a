"""The figures of each decoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fewpass.evaluation import statistics
from fewpass.evaluation.images import DecoderImages
from fewpass.evaluation.instruments import Instruments
from fewpass.evaluation.metrics import (
    categories,
    correct_scenes,
    frechet_distance,
    kernel_distance,
    pair_distances,
)
from fewpass.evaluation.statistics import Estimate

BASELINE = "ar"


@dataclass
class Summary:
    """The figures of one decoder; None or empty if not measured.

    `nll` and `entropy` are in nats per token. `kid` and `fid` are distances to images of `ar` of other seeds, for `ar`
    itself the size of chance. `score` is the share of correct scenes by category; `versus` holds differences to `ar` on
    the same prompts and seeds, and `same_images` is whether all tokens are those of `ar`. Between two images of one
    prompt, `disagreement` is the share of tokens that differ and `diversity` the distance in features.
    """

    decoder: str
    lossless: bool | None
    images: int
    passes: Estimate
    tokens_per_pass: Estimate
    seconds: Estimate
    nll: Estimate
    entropy: Estimate
    forbidden: int
    disagreement: Estimate
    diversity: Estimate | None = None
    kid: Estimate | None = None
    fid: float | None = None
    reference_fid: float | None = None
    clip: Estimate | None = None
    score: dict[str, Estimate] = field(default_factory=dict)
    versus: dict[str, Estimate] = field(default_factory=dict)
    speedup: Estimate | None = None
    same_images: bool = False
    right: NDArray[np.bool_] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The recipe, without its options."""
        return self.decoder.partition("(")[0]


def summarise(
    everything: Sequence[DecoderImages], instruments: Instruments, counterparts: DecoderImages | None = None
) -> list[Summary]:
    """Summarise decoders in the order given; differences need `ar` among them, distances its `counterparts`."""
    summaries, of_images = [], instruments.features and instruments.features.of_images
    apart = of_images(counterparts) if of_images and counterparts else None
    for images in everything:
        features = of_images(images) if of_images else None
        summary = _alone(images, instruments, features)
        if features is not None and apart is not None:
            summary.kid = kernel_distance(apart, features)
            summary.fid = frechet_distance(apart, features) if instruments.fid else None
        summaries.append(summary)
    for baseline, base in zip(everything, summaries, strict=True):
        if base.decoder == BASELINE:
            for images, summary in zip(everything, summaries, strict=True):
                _compare(summary, images, base, baseline)
    return summaries


def _alone(images: DecoderImages, instruments: Instruments, features: Tensor | None) -> Summary:
    pairs, tokens = images.pairs, images.tokens.shape[1]
    apart = [float((images.tokens[i] != images.tokens[j]).mean()) for i, j in pairs]
    summary = Summary(
        images.decoder,
        images.lossless,
        len(images.items),
        statistics.mean(images.passes, 1, tokens),
        statistics.mean(images.tokens_per_pass, 1, tokens),
        statistics.mean(images.seconds, 0),
        statistics.mean(images.nll, 0),
        statistics.mean(images.entropy.mean(1), 0),
        images.forbidden,
        statistics.mean(apart, 0, 1),
    )
    if features is not None:
        summary.diversity = statistics.mean(pair_distances(features, pairs), 0)
        if instruments.fid and instruments.real is not None:
            summary.reference_fid = frechet_distance(instruments.real, features)
    if instruments.clip is not None:
        summary.clip = statistics.mean(instruments.clip(images), 0, 100)
    if instruments.scenes:
        summary.right = correct_scenes(images)
        masks = categories(images.items)
        summary.score = {kind: statistics.share(summary.right[mask]) for kind, mask in masks.items()}
    return summary


def _compare(summary: Summary, images: DecoderImages, base: Summary, baseline: DecoderImages) -> None:
    """Add paired differences to the baseline; exactly 0 if the images are the same."""
    summary.speedup = statistics.mean(baseline.seconds / images.seconds, 0)
    summary.versus["nll"] = statistics.mean(images.nll - baseline.nll)
    if summary.right is not None and base.right is not None:
        summary.versus["score"] = statistics.share_difference(summary.right, base.right)
    summary.same_images = bool((images.tokens == baseline.tokens).all())
    if summary.same_images:
        summary.versus = {name: Estimate(0.0, 0.0, 0.0, e.n, 0.0) for name, e in summary.versus.items()}
