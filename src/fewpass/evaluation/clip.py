"""CLIP score: does an image show its prompt?"""

import warnings

import numpy as np
import torch

from fewpass.evaluation.drawings import Drawings, Numbers
from fewpass.io.extra import needed

DEFAULT = "openai/clip-vit-base-patch16"  # torchmetrics' own default


class ClipScorer:
    """A CLIP model on this machine, a folder or a repository in the hub's cache; nothing is downloaded.

    Raises ValueError if it is not at hand.
    """

    def __init__(self, name: str):
        self.name = name
        from transformers import AutoProcessor, CLIPModel

        try:
            model = CLIPModel.from_pretrained(name, local_files_only=True)
            processor = AutoProcessor.from_pretrained(name, local_files_only=True)
        except (OSError, ValueError):
            raise ValueError(f"the weights of {name} are not at hand") from None
        self.metric = needed("torchmetrics.multimodal.clip_score").CLIPScore(lambda: (model, processor))

    @torch.inference_mode()
    def __call__(self, drawings: Drawings) -> Numbers:
        """100 times the cosine between each image and its prompt, at least 0."""
        scores = []
        for i, item in enumerate(drawings.items):
            picture = torch.from_numpy(np.array(drawings.picture(i))).permute(2, 0, 1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # prompts longer than CLIP reads are cut, and said to be
                scores.append(float(self.metric(picture[None], [item.row.prompt])))
        return np.array(scores)
