"""The metrics for a list of prompts, as far as their weights are there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from torch import Tensor

from fewpass.evaluation.metrics import CLIP, ClipScorer, Features, features_for


@dataclass(frozen=True, eq=False)
class Instruments:
    """The metrics for a list of prompts; None if missing. `real` holds the features of real images."""

    features: Features | None = None
    real: Tensor | None = None
    clip: ClipScorer | None = None


def instruments_of(
    model: str, images: int, clip: str | None, inception: Path | None, reference: Path | None = None
) -> tuple[Instruments, list[str]]:
    """The metrics for so many images of a model, and notes on the missing ones.

    `clip` is the name or folder of a CLIP model, `inception` the file of Inception's weights, None the usual ones if
    they are there; `reference` is a folder of real images. Raises ValueError for weights that are not there or have no
    use, and for a folder of fewer than 2 images.
    """
    skipped = list[str]()
    features, scorer, real = None, None, None
    try:
        features = features_for(model, inception)
    except ValueError as error:
        if inception is not None:
            raise
        skipped.append(f"KID and FID: {error}.")
    try:
        scorer = ClipScorer(clip or CLIP)
    except ValueError as error:
        if clip is not None:
            raise
        skipped.append(f"CLIP score: {error}.")
    if images < 2:
        skipped.append("KID: a distance takes 2 images of a decoder at least.")
    if features is not None and images < features.width:
        skipped.append(
            f"FID: {images} images of a decoder are fewer than the {features.width} features, so their covariance"
            " is singular and the figure means nothing."
        )
    elif features is not None and reference is not None:
        real = features.of(_real_images(reference))
    return Instruments(features, real, scorer), skipped


def _real_images(folder: Path) -> Iterator[Image.Image]:
    found = 0
    for path in sorted(folder.iterdir()):
        try:
            with Image.open(path) as image:
                yield image.convert("RGB")
                found += 1
        except (UnidentifiedImageError, IsADirectoryError):
            continue
        except OSError as error:
            raise ValueError(f"{str(path)!r}: {error}") from None
    if found < 2:
        raise ValueError(f"{str(folder)!r} holds {found} images; FID needs at least 2")
