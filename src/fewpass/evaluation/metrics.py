"""Metrics of images: features with their distances, CLIP score."""

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchmetrics.image.fid import NoTrainInceptionV3
from torchmetrics.image.kid import poly_kernel
from torchmetrics.multimodal.clip_score import CLIPScore
from transformers import AutoProcessor, CLIPModel

from fewpass.evaluation.folder import DecoderImages, Numbers
from fewpass.evaluation.statistics import Estimate, normal
from fewpass.models.features import ImageFeatures, features_file

# Where torch-fidelity looks.
INCEPTION = Path(torch.hub.get_dir(), "checkpoints", "pt_inception-2015-12-05-6726825d.pth")
CLIP = "openai/clip-vit-base-patch16"  # torchmetrics' own default
GROUPS = 10  # of the jackknife


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
        """Features [n, D] of the images of a decoder."""
        return self.of(images.picture(i) for i in range(len(images.items)))


def features_for(model: str, inception: Path | None) -> Features:
    """The network that comes with a model, or Inception v3 from a file of weights, None for the usual one.

    Raises ValueError if weights or package of Inception are missing, or the model comes with a network.
    """
    if file := features_file(model):
        if inception is not None:
            raise ValueError(f"--inception {str(inception)!r} has no effect: {model} has a network of its own")
        network = ImageFeatures.load(file)
        return Features(f"{network.num_features} features of the network of {model}", network.num_features, network)
    inception = INCEPTION if inception is None else inception
    if not inception.is_file():
        raise ValueError(f"the weights of Inception are missing: there is no file {str(inception)!r}")
    try:
        network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(inception))
    except ModuleNotFoundError as error:
        raise ValueError(f"Inception needs torch-fidelity: pip install torch-fidelity ({error.msg})") from None
    return Features("2048 features of Inception v3", 2048, network)


def frechet_distance(reference: Tensor, features: Tensor) -> float:
    """FID between features [n, D]: the Frechet distance of normal distributions with their means and covariances."""
    apart = (reference.mean(0) - features.mean(0)).square().sum()
    one, other = (torch.atleast_2d(each.T.cov()) for each in (reference, features))
    root = torch.linalg.eigvals(one @ other).sqrt().real.sum()  # the trace of the root of the product
    return max(0.0, float(apart + one.trace() + other.trace() - 2 * root))


def kernel_distance(reference: Tensor, features: Tensor) -> Estimate:
    """KID (arXiv 1801.01401) between features [n, D] of the same n prompts, with KID's own polynomial kernel.

    The unbiased estimate of arXiv 0805.2368, section 4, for pairs of samples, here the two images of a prompt: it
    compares no image with its counterpart, so that it stays unbiased where each prompt has a few images only. The
    standard error is that of a jackknife that leaves out one of 10 subsets of the prompts at a time.
    """
    across = poly_kernel(reference, features)
    pairs = poly_kernel(reference, reference) + poly_kernel(features, features) - across - across.T
    n = len(pairs)
    if n < 2:
        return Estimate(n=n)
    at = _mean_of_pairs(pairs)
    groups = min(GROUPS, n)
    if n - (-(-n // groups)) < 2:
        return normal(at, math.nan, n)
    group = torch.arange(n) % groups
    without = np.array([_mean_of_pairs(pairs[group != g][:, group != g]) for g in range(groups)])
    return normal(at, math.sqrt((groups - 1) * without.var()), n)


def _mean_of_pairs(pairs: Tensor) -> float:
    """The mean of a matrix [n, n] off its diagonal."""
    n = len(pairs)
    return float((pairs.sum() - pairs.diagonal().sum()) / (n * (n - 1)))


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]


class ClipScorer:
    """CLIP score with a model in a folder or in the hub's cache. Raises ValueError if there is none."""

    def __init__(self, name: str):
        try:
            model = CLIPModel.from_pretrained(name, local_files_only=True)
            processor = AutoProcessor.from_pretrained(name, local_files_only=True)
        except (OSError, ValueError):
            raise ValueError(f"the weights of {name} are missing") from None
        self.metric = CLIPScore(lambda: (model, processor))

    @torch.inference_mode()
    def __call__(self, images: DecoderImages) -> Numbers:
        """100 times the cosine between each image and its prompt, at least 0, [n]."""
        scores = []
        for i, item in enumerate(images.items):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torchmetrics warns of prompts that it cuts
                scores.append(float(self.metric(_tensor(images.picture(i)), [item.row.prompt])))
        return np.array(scores)
