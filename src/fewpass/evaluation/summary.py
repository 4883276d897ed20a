"""The figures of each decoder, and their table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fewpass.evaluation import statistics
from fewpass.evaluation.images import DecoderImages
from fewpass.evaluation.metrics import (
    ClipScorer,
    Features,
    categories,
    correct_scenes,
    frechet_distance,
    pair_distances,
)
from fewpass.evaluation.statistics import Estimate

BASELINE = "ar"
KINDS = {True: "lossless", False: "lossy", None: "unknown"}


@dataclass
class Summary:
    """The figures of one decoder; None or empty if not measured.

    `score` is the share of correct scenes by category; `versus` holds differences to `ar` on the same prompts and
    seeds, and `same_images` is whether all tokens are those of `ar`. Between two images of one prompt, `disagreement`
    is the share of tokens that differ and `diversity` the distance in features.
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
    """The metrics for a list of prompts; None if missing or not defined for them.

    `fid` is whether there are enough images for FID.
    """

    scenes: bool = False
    features: Features | None = None
    fid: bool = True
    reference: Tensor | None = None  # features of real images
    clip: ClipScorer | None = None


def summarise(everything: Sequence[DecoderImages], instruments: Instruments) -> list[Summary]:
    """Summarise decoders in the order given; differences need `ar` among them."""
    features = {d.decoder: _features(d, instruments) for d in everything}
    baseline = next((d for d in everything if d.decoder == BASELINE), None)
    summaries = [_alone(images, instruments, features[images.decoder]) for images in everything]
    base = next((s for s in summaries if s.decoder == BASELINE), None)
    if baseline is not None and base is not None:
        for images, summary in zip(everything, summaries, strict=True):
            _compare(summary, images, base, baseline)
            own, reference = features[images.decoder], features[BASELINE]
            if instruments.fid and own is not None and reference is not None:
                summary.fid = frechet_distance(reference, own)
    return summaries


def _features(images: DecoderImages, instruments: Instruments) -> Tensor | None:
    return None if instruments.features is None else instruments.features.of_images(images)


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
        if instruments.fid and instruments.reference is not None:
            summary.reference_fid = frechet_distance(instruments.reference, features)
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
    summary.versus["entropy"] = statistics.mean(images.entropy.mean(1) - baseline.entropy.mean(1))
    if summary.right is not None and base.right is not None:
        summary.versus["score"] = statistics.share_difference(summary.right, base.right)
    summary.same_images = bool((images.tokens == baseline.tokens).all())
    if summary.same_images:
        summary.versus = {name: Estimate(0.0, 0.0, 0.0, found.n) for name, found in summary.versus.items()}


def columns(summaries: Sequence[Summary]) -> list[str]:
    """The heading of the table."""
    scored = any(summary.score for summary in summaries)
    return ["decoder", "images", "passes", "tokens per pass", "seconds", *(["scene score"] if scored else [])]


def cells(summary: Summary) -> list[str]:
    """A row of the table."""
    s = summary
    costs = [number(s.passes.mean, 1), number(s.tokens_per_pass.mean, 2), number(s.seconds.mean, 2)]
    return [s.decoder, KINDS[s.lossless], *costs, *([percent(s.score["all"])] if s.score else [])]


def markdown(summaries: Sequence[Summary], conditions: str) -> str:
    """The table in Markdown, under a line with its conditions."""
    heading = columns(summaries)
    lines = [conditions, "", _row(heading), _row(["---", "---", *["---:"] * (len(heading) - 2)])]
    for summary in summaries:
        decoder, *others = cells(summary)
        lines.append(_row([f"`{decoder}`", *others]))
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def interval(estimate: Estimate | None, digits: int, scale: float = 1.0) -> str:
    """Mean and interval: `3.21 (3.10 to 3.32)`."""
    if estimate is None:
        return "-"
    low, high = number(estimate.low * scale, digits), number(estimate.high * scale, digits)
    return number(estimate.mean * scale, digits) + (f" ({low} to {high})" if math.isfinite(estimate.low) else "")


def percent(estimate: Estimate | None) -> str:
    return "-" if estimate is None or not math.isfinite(estimate.mean) else interval(estimate, 1, 100) + " %"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
