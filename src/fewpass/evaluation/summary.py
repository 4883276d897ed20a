"""What is found out about each decoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fewpass.evaluation import estimate
from fewpass.evaluation.clip import ClipScorer
from fewpass.evaluation.drawings import Drawings
from fewpass.evaluation.estimate import Estimate
from fewpass.evaluation.features import Features, frechet_distance, pair_distances
from fewpass.evaluation.scenes import correct, kinds

BASELINE = "ar"


@dataclass
class Summary:
    """One decoder. What was not measured is None or empty.

    `score` is the share of correct scenes by category, in the order of its keys; `versus` holds differences to
    `ar` on the same prompts and seeds, and `same_images` says whether its images are those of `ar`.
    `disagreement` is the share of tokens, `diversity` the distance in features between two images of one prompt.
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
        return self.decoder.partition("(")[0]


@dataclass(frozen=True, eq=False)
class Instruments:
    """What images are measured with. None for what is not at hand, or makes no sense of these prompts.

    `fid` says whether there are images enough for FID.
    """

    scenes: bool = False
    features: Features | None = None
    fid: bool = True
    reference: Tensor | None = None  # features of real images
    clip: ClipScorer | None = None


def summarise(everything: Sequence[Drawings], instruments: Instruments) -> list[Summary]:
    """The decoders in the order given; differences need `ar` among them."""
    seen = {d.decoder: _features(d, instruments) for d in everything}
    baseline = next((d for d in everything if d.decoder == BASELINE), None)
    summaries = [_alone(drawings, instruments, seen[drawings.decoder]) for drawings in everything]
    base = next((s for s in summaries if s.decoder == BASELINE), None)
    if baseline is not None and base is not None:
        for drawings, summary in zip(everything, summaries, strict=True):
            _compare(summary, drawings, base, baseline)
            features, reference = seen[drawings.decoder], seen[BASELINE]
            if instruments.fid and features is not None and reference is not None:
                summary.fid = frechet_distance(reference, features)
    return summaries


def _features(drawings: Drawings, instruments: Instruments) -> Tensor | None:
    return None if instruments.features is None else instruments.features.of_drawings(drawings)


def _alone(drawings: Drawings, instruments: Instruments, features: Tensor | None) -> Summary:
    pairs, tokens = drawings.pairs, drawings.tokens.shape[1]
    apart = [float((drawings.tokens[i] != drawings.tokens[j]).mean()) for i, j in pairs]
    summary = Summary(
        drawings.decoder,
        drawings.lossless,
        len(drawings.items),
        estimate.mean(drawings.passes, 1, tokens),
        estimate.mean(drawings.tokens_per_pass, 1, tokens),
        estimate.mean(drawings.seconds, 0),
        estimate.mean(drawings.nll, 0),
        estimate.mean(drawings.entropy.mean(1), 0),
        drawings.forbidden,
        estimate.mean(apart, 0, 1),
    )
    if features is not None:
        summary.diversity = estimate.mean(pair_distances(features, pairs), 0)
        if instruments.fid and instruments.reference is not None:
            summary.reference_fid = frechet_distance(instruments.reference, features)
    if instruments.clip is not None:
        summary.clip = estimate.mean(instruments.clip(drawings), 0, 100)
    if instruments.scenes:
        summary.right = correct(drawings)
        chosen = kinds(drawings.items)
        summary.score = {kind: estimate.share(summary.right[which]) for kind, which in chosen.items()}
    return summary


def _compare(summary: Summary, drawings: Drawings, base: Summary, baseline: Drawings) -> None:
    """Differences to the baseline, pair by pair; exactly 0 where the images are the same."""
    summary.speedup = estimate.mean(baseline.seconds / drawings.seconds, 0)
    summary.versus["nll"] = estimate.mean(drawings.nll - baseline.nll)
    summary.versus["entropy"] = estimate.mean(drawings.entropy.mean(1) - baseline.entropy.mean(1))
    if summary.right is not None and base.right is not None:
        summary.versus["score"] = estimate.share_difference(summary.right, base.right)
    summary.same_images = bool((drawings.tokens == baseline.tokens).all())
    if summary.same_images:
        summary.versus = {name: Estimate(0.0, 0.0, 0.0, found.n) for name, found in summary.versus.items()}
