"""Loss and sample images of the transformer during training."""

from pathlib import Path

import numpy as np
import torch
from transformers import JanusForConditionalGeneration
from transformers.models.janus.modeling_janus import JanusVQVAE

from training.scenes import held_out_prompts, parse

from .draw import decode, draw, save_sheet
from .encoder import encode_images
from .likelihood import loss_of
from .object_tokens import ObjectTokens
from .pool import pixels
from .presets import Preset
from .words import encode


class Monitor:
    """Held-out scenes, always the same: their loss, and images drawn for the first of their prompts."""

    def __init__(self, vq: JanusVQVAE, preset: Preset, object_tokens: ObjectTokens | None, out: Path):
        self.out = out
        listed = held_out_prompts()
        self.prompts = [listed[i] for kind in (0, 67, 134) for i in range(kind, kind + 8)]
        scenes, rng = [parse(p) for p in self.prompts], np.random.default_rng(7)
        if object_tokens:
            self.tokens = torch.stack([object_tokens.random_image(scene, rng) for scene in scenes])
        else:
            self.tokens = encode_images(vq, pixels(scenes, preset, rng))

    @torch.no_grad()
    def loss(self, model: JanusForConditionalGeneration) -> float:
        ids = [torch.tensor([encode(p)], device=self.tokens.device) for p in self.prompts]
        return float(np.mean([loss_of(model, i, t[None]).item() for i, t in zip(ids, self.tokens, strict=True)]))

    def sheet(self, model: JanusForConditionalGeneration, name: str) -> None:
        save_sheet(decode(model, draw(model, self.prompts)), self.out / name)
