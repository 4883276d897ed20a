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
    kernel_distance,
    pair_distances,
)
from fewpass.evaluation.statistics import Estimate

BASELINE = "ar"
KINDS = {True: "lossless", False: "lossy", None: "unknown"}


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


@dataclass(frozen=True, eq=False)
class Instruments:
    """The metrics for a list of prompts; None if missing or not defined for them.

    `fid` is whether there are enough images for FID; `real` holds the features of real images.
    """

    scenes: bool = False
    features: Features | None = None
    fid: bool = True
    real: Tensor | None = None
    clip: ClipScorer | None = None


def summarise(
    everything: Sequence[DecoderImages], instruments: Instruments, counterparts: DecoderImages | None = None
) -> list[Summary]:
    """Summarise decoders in the order given; differences need `ar` among them, distances its `counterparts`."""
    summaries = []
    apart = (
        None if counterparts is None or instruments.features is None else instruments.features.of_images(counterparts)
    )
    for images in everything:
        features = None if instruments.features is None else instruments.features.of_images(images)
        summary = _alone(images, instruments, features)
        if features is not None and apart is not None:
            summary.kid = kernel_distance(apart, features)
            summary.fid = frechet_distance(apart, features) if instruments.fid else None
        summaries.append(summary)
    baseline = next((d for d in everything if d.decoder == BASELINE), None)
    base = next((s for s in summaries if s.decoder == BASELINE), None)
    if baseline is not None and base is not None:
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


def columns(summaries: Sequence[Summary]) -> list[str]:
    """The heading of the table."""
    more = {"KID to ar": any(s.kid for s in summaries), "scene score": any(s.score for s in summaries)}
    heading = ["decoder", "images", "passes", "tokens per pass", "seconds", "nats per token"]
    return heading + [name for name, measured in more.items() if measured]


def cells(summary: Summary) -> list[str]:
    """A row of the table."""
    s = summary
    row = [s.decoder, KINDS[s.lossless], number(s.passes.mean, 1), with_error(s.tokens_per_pass, 2)]
    row += [number(s.seconds.mean, 2), number(s.nll.mean, 3)]
    return row + [with_error(e, 4) for e in (s.kid,) if e] + [percent(e) for e in (s.score.get("all"),) if e]


def markdown(summaries: Sequence[Summary], conditions: str) -> str:
    """The table in Markdown, under a line with its conditions."""
    heading = columns(summaries)
    lines = [conditions, "", _row(heading), _row(["---", "---", *["---:"] * (len(heading) - 2)])]
    for summary in summaries:
        decoder, *others = cells(summary)
        lines.append(_row([f"`{decoder}`", *others]))
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int) -> str:
    """A number of so many decimals, `-` for none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_error(estimate: Estimate, digits: int) -> str:
    """Mean and standard error: `3.21 ± 0.05`."""
    error = f" ± {number(estimate.error, digits)}" if math.isfinite(estimate.error) else ""
    return number(estimate.mean, digits) + error


def interval(estimate: Estimate, digits: int, scale: float = 1.0) -> str:
    """Mean and interval: `3.21 (3.10 to 3.32)`."""
    low, high = number(estimate.low * scale, digits), number(estimate.high * scale, digits)
    return number(estimate.mean * scale, digits) + (f" ({low} to {high})" if math.isfinite(estimate.low) else "")


def percent(estimate: Estimate) -> str:
    """A share and its interval: `62.4 (58.2 to 66.3) %`."""
    return interval(estimate, 1, 100) + " %" if math.isfinite(estimate.mean) else "-"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
