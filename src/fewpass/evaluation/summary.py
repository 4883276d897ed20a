"""The figures of each decoder."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from fewpass.evaluation import statistics
from fewpass.evaluation.folder import DecoderImages
from fewpass.evaluation.instruments import Instruments
from fewpass.evaluation.metrics import frechet_distance, kernel_distance
from fewpass.evaluation.statistics import Estimate

BASELINE = "ar"


@dataclass
class Summary:
    """The figures of one decoder; None if not measured.

    `nll` and `entropy` are in nats per token. `kid` and `fid` are distances to images of `ar` of other seeds, for `ar`
    itself the size of chance. `nll_difference` is that to `ar` on the same prompts and seeds, and `same_images` is
    whether all tokens are those of `ar`.
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
    kid: Estimate | None = None
    fid: float | None = None
    reference_fid: float | None = None
    clip: Estimate | None = None
    nll_difference: Estimate | None = None
    speedup: Estimate | None = None
    same_images: bool = False


def summarise(
    everything: Sequence[DecoderImages], instruments: Instruments, counterparts: DecoderImages | None = None
) -> list[Summary]:
    """Summarise decoders in the order given; differences need `ar` among them, distances its `counterparts`."""
    features = instruments.features
    apart = features.of_images(counterparts) if features and counterparts else None
    baseline = next((images for images in everything if images.decoder == BASELINE), None)
    summaries = []
    for images in everything:
        summary = _costs(images)
        _measure(summary, images, instruments, apart)
        if baseline is not None:
            _compare(summary, images, baseline)
        summaries.append(summary)
    return summaries


def _costs(images: DecoderImages) -> Summary:
    """The figures that the records of the images have."""
    tokens = images.tokens.shape[1]
    return Summary(
        images.decoder,
        images.lossless,
        len(images.items),
        statistics.mean(images.passes, 1, tokens),
        statistics.mean(images.tokens_per_pass, 1, tokens),
        statistics.mean(images.seconds, 0),
        statistics.mean(images.nll, 0),
        statistics.mean(images.entropy.mean(1), 0),
        images.forbidden,
    )


def _measure(summary: Summary, images: DecoderImages, instruments: Instruments, apart: Tensor | None) -> None:
    """Add the figures of the pictures; `apart` are the features of the counterparts."""
    if instruments.features is not None:
        features = instruments.features.of_images(images)
        if apart is not None:
            summary.kid = kernel_distance(apart, features)
            summary.fid = frechet_distance(apart, features) if len(features) >= features.shape[1] else None
        if instruments.real is not None:
            summary.reference_fid = frechet_distance(instruments.real, features)
    if instruments.clip is not None:
        summary.clip = statistics.mean(instruments.clip(images), 0, 100)


def _compare(summary: Summary, images: DecoderImages, baseline: DecoderImages) -> None:
    """Add paired differences to the baseline; exactly 0 if the images are the same."""
    summary.speedup = statistics.mean(baseline.seconds / images.seconds, 0)
    summary.same_images = bool((images.tokens == baseline.tokens).all())
    difference = statistics.mean(images.nll - baseline.nll)
    summary.nll_difference = Estimate(0.0, 0.0, 0.0, difference.n, 0.0) if summary.same_images else difference
