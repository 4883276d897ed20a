"""GLM-Image's diffusion decoder: diffusers' pipeline, fed with codes that are drawn already."""

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewpass.core.errors import not_finite
from fewpass.models.base import Prompt
from fewpass.models.checkpoint import Checkpoint


class DiffusionDecoder:
    """`steps` and `guidance` are those of the diffusion."""

    steps = 50
    guidance = 1.5

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Raise ValueError if diffusers is not installed, or a prompt is not text."""
        if find_spec("diffusers") is None:
            raise ValueError("GLM-Image's pictures are made by diffusers: pip install 'fewpass[glm]'")
        if not all(isinstance(prompt, str) for prompt in prompts):
            raise ValueError("GLM-Image's diffusion decoder reads the prompt: give it as text, not as token ids")

    @cached_property
    def pipeline(self) -> Any:
        from diffusers import GlmImagePipeline

        loaded = GlmImagePipeline.from_pretrained(
            self.checkpoint.folder,
            vision_language_encoder=None,  # its tokens are drawn already
            torch_dtype=self.checkpoint.dtype,
            local_files_only=True,
        )
        loaded.set_progress_bar_config(disable=True)
        return loaded.to(self.checkpoint.device)

    def __call__(self, prior_token_ids: Tensor, size: tuple[int, int], prompt: str, seed: int) -> Tensor:
        """The picture [H, W, 3] uint8 of `size` (width, height) of one image's codes [N]."""
        width, height = size
        (drawn,) = self.pipeline(
            prompt=prompt,
            prior_token_ids=prior_token_ids[None],
            width=width,
            height=height,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            generator=torch.Generator(self.checkpoint.device).manual_seed(seed),
            output_type="np",
        ).images
        if not np.isfinite(drawn).all():
            raise not_finite("pixels", "NaN or inf", self.checkpoint.dtype)
        return (torch.from_numpy(drawn) * 255).round().to(torch.uint8)
