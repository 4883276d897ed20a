"""The metrics for a list of prompts, as far as their weights are there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from torch import Tensor

from fewpass.evaluation.folder import Item
from fewpass.evaluation.metrics import ClipScorer, Features, features_for


@dataclass(frozen=True, eq=False)
class Instruments:
    """The metrics for a list of prompts; None if missing. `real` holds the features of real images."""

    features: Features | None = None
    real: Tensor | None = None
    clip: ClipScorer | None = None


def instruments_of(
    model: str, items: Sequence[Item], clip: str, inception: Path, reference: Path | None = None
) -> tuple[Instruments, list[str]]:
    """The metrics for images of these prompts by a model, and notes on the missing ones.

    `clip` is the name or folder of a CLIP model, `inception` the file of Inception's weights, `reference` a folder of
    real images. Raises ValueError for a folder with fewer than 2.
    """
    skipped = list[str]()
    features, scorer, real = None, None, None
    try:
        features = features_for(model, inception)
    except ValueError as error:
        skipped.append(f"KID and FID: {error}.")
    try:
        scorer = ClipScorer(clip)
    except ValueError as error:
        skipped.append(f"CLIP score: {error}.")
    if features is not None and len(items) < features.width:
        skipped.append(
            f"FID: {len(items)} images of a decoder are fewer than the {features.width} features, so their covariance"
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
    if found < 2:
        raise ValueError(f"{str(folder)!r} holds {found} images; FID needs at least 2")
