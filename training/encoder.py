"""Encode images as tokens."""

import torch
from torch import Tensor
from transformers.models.janus.modeling_janus import JanusVQVAE

CHUNK = 64  # images per call of the encoder


@torch.no_grad()
def encode_images(vq: JanusVQVAE, images: Tensor) -> Tensor:
    """Tokens [B, rows * cols]."""
    device = next(vq.parameters()).device
    parts = []
    for chunk in images.split(CHUNK):
        z = vq.quant_conv(vq.encoder(chunk.to(device, memory_format=torch.channels_last)))
        # the nearest code of unit length is the one with the largest cosine
        parts.append(torch.einsum("bdhw,vd->bhwv", z, vq.quantize.embedding.weight).argmax(-1).flatten(1))
    return torch.cat(parts)
