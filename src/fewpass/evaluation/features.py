"""Images as features, and distances between sets of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fewpass.evaluation.drawings import Drawings, Numbers
from fewpass.io.extra import needed

INCEPTION = Path(
    torch.hub.get_dir(), "checkpoints", "pt_inception-2015-12-05-6726825d.pth"
)  # where torch-fidelity looks


@dataclass(frozen=True, eq=False)
class Features:
    """A network that turns images [B, 3, H, W] uint8 into features [B, `width`]; `name` is for readers."""

    name: str
    width: int
    network: Callable[[Tensor], Tensor]

    def of(self, pictures: Iterable[Image.Image]) -> Tensor:
        """[n, D], of any number of pictures, each of its own size."""
        with torch.inference_mode():
            return torch.cat([self.network(_tensor(picture)) for picture in pictures]).double()

    def of_drawings(self, drawings: Drawings) -> Tensor:
        return self.of(drawings.picture(i) for i in range(len(drawings.items)))


def scene_features() -> Features:
    """Those of the bundled model's scenes."""
    from fewpass.models.emoji.features import features_of

    return Features("64 features of a network trained on rendered scenes", 64, features_of)


def inception_features(weights: Path) -> Features:
    """Those that FID is usually measured with: the last 2048 of Inception v3.

    Raises ValueError saying what is missing.
    """
    if not weights.is_file():
        raise ValueError(f"the weights of Inception are not at hand: there is no file {str(weights)!r}")
    fid = needed("torchmetrics.image.fid")
    try:
        network = fid.NoTrainInceptionV3("inception-v3-compat", ["2048"], str(weights))
    except ModuleNotFoundError as error:
        raise ValueError(f"Inception needs torch-fidelity: pip install torch-fidelity ({error.msg})") from None
    return Features("2048 features of Inception v3", 2048, network)


def frechet_distance(reference: Tensor, features: Tensor) -> float:
    """FID between two sets of features [n, D]: Frechet distance of the normal laws with their means and covariances."""
    metric = needed("torchmetrics.image.fid").FrechetInceptionDistance(feature=_Given(reference.shape[1]))
    metric.set_dtype(torch.float64)
    metric.update(reference, real=True)
    metric.update(features, real=False)
    return max(0.0, float(metric.compute()))


def pair_distances(features: Tensor, pairs: list[tuple[int, int]]) -> Numbers:
    """How far apart in features [n, D] the two images of each pair are."""
    apart = [float((features[i] - features[j]).norm()) for i, j in pairs]
    return np.array(apart)


class _Given(nn.Module):
    """Features that were computed before."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]
