"""Metrics of images: features with their distances, CLIP score, scene score."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from fewpass.evaluation.folder import Item
from fewpass.evaluation.images import DecoderImages, Numbers
from fewpass.io.extra import needed
from fewpass.models.emoji.scenes import KINDS, parse
from fewpass.models.emoji.scorer import score

INCEPTION = Path(
    torch.hub.get_dir(), "checkpoints", "pt_inception-2015-12-05-6726825d.pth"
)  # where torch-fidelity looks


CLIP = "openai/clip-vit-base-patch16"  # torchmetrics' own default


@dataclass(frozen=True, eq=False)
class Features:
    """A network from images [B, 3, H, W] uint8 to features [B, `width`]; `name` is for the report."""

    name: str
    width: int
    network: Callable[[Tensor], Tensor]

    def of(self, pictures: Iterable[Image.Image]) -> Tensor:
        """Features [n, D] of images of any sizes."""
        with torch.inference_mode():
            return torch.cat([self.network(_tensor(picture)) for picture in pictures]).double()

    def of_images(self, images: DecoderImages) -> Tensor:
        return self.of(images.picture(i) for i in range(len(images.items)))


def scene_features() -> Features:
    """Features for the scenes of the bundled model."""
    from fewpass.models.emoji.features import features_of

    return Features("64 features of a network trained on rendered scenes", 64, features_of)


def inception_features(weights: Path) -> Features:
    """The 2048 features of Inception v3 that FID usually uses. Raises ValueError if weights or package are missing."""
    if not weights.is_file():
        raise ValueError(f"the weights of Inception are missing: there is no file {str(weights)!r}")
    fid = needed("torchmetrics.image.fid")
    try:
        network = fid.NoTrainInceptionV3("inception-v3-compat", ["2048"], str(weights))
    except ModuleNotFoundError as error:
        raise ValueError(f"Inception needs torch-fidelity: pip install torch-fidelity ({error.msg})") from None
    return Features("2048 features of Inception v3", 2048, network)


def frechet_distance(reference: Tensor, features: Tensor) -> float:
    """FID between features [n, D]: the Frechet distance of normal distributions with their means and covariances."""
    metric = needed("torchmetrics.image.fid").FrechetInceptionDistance(feature=_Given(reference.shape[1]))
    metric.set_dtype(torch.float64)
    metric.update(reference, real=True)
    metric.update(features, real=False)
    return max(0.0, float(metric.compute()))


def pair_distances(features: Tensor, pairs: list[tuple[int, int]]) -> Numbers:
    """Distances between the features [n, D] of the two images of each pair."""
    apart = [float((features[i] - features[j]).norm()) for i, j in pairs]
    return np.array(apart)


class _Given(nn.Module):
    """A network whose input is its output: the features are computed already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]


class ClipScorer:
    """CLIP score with a model in a folder or in the hub's cache. Raises ValueError if there is none."""

    def __init__(self, name: str):
        self.name = name
        from transformers import AutoProcessor, CLIPModel

        try:
            model = CLIPModel.from_pretrained(name, local_files_only=True)
            processor = AutoProcessor.from_pretrained(name, local_files_only=True)
        except (OSError, ValueError):
            raise ValueError(f"the weights of {name} are missing") from None
        self.metric = needed("torchmetrics.multimodal.clip_score").CLIPScore(lambda: (model, processor))

    @torch.inference_mode()
    def __call__(self, images: DecoderImages) -> Numbers:
        """100 times the cosine between each image and its prompt, at least 0, [n]."""
        scores = []
        for i, item in enumerate(images.items):
            picture = torch.from_numpy(np.array(images.picture(i))).permute(2, 0, 1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torchmetrics warns of prompts that it cuts
                scores.append(float(self.metric(picture[None], [item.row.prompt])))
        return np.array(scores)


def are_scenes(items: Sequence[Item]) -> bool:
    """Whether all prompts are scenes of the bundled model, which the scorer can parse."""
    try:
        for item in items:
            parse(item.row.prompt)
    except ValueError:
        return False
    return True


def correct_scenes(images: DecoderImages) -> NDArray[np.bool_]:
    """Whether background, objects, count and relation are all right, [n]."""
    return np.array([score(images.picture(i), item.row.prompt).correct for i, item in enumerate(images.items)], bool)


def categories(items: Sequence[Item]) -> dict[str, NDArray[np.bool_]]:
    """Masks [n] of the items of each category, after that of all items."""
    each = np.array([parse(item.row.prompt).kind for item in items])
    return {"all": np.ones(len(items), bool)} | {kind: each == kind for kind in KINDS if (each == kind).any()}
