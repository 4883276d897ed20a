"""Image codes to pixels, and the convolutional decoder that Janus, LlamaGen and Chameleon share."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers.models.janus.configuration_janus import JanusVQVAEConfig
from transformers.models.janus.modeling_janus import JanusVQVAEDecoder

from fewpass.core.errors import not_finite

Decode = Callable[[Tensor], Tensor]
WITH_WEIGHTS = {F.embedding, F.linear, F.conv2d, F.conv3d, F.group_norm, F.batch_norm, F.normalize}


def to_pixels(decode: Decode, codes: Tensor, rounded: bool = False) -> Tensor:
    """Decode codes [B, ...] into pixels, uint8 [B, H, W, 3]; `decode` returns colours [B, 3, H, W] in -1..1.

    Levels are cut off, or `rounded` to the nearest: as the model's authors do. On a CPU images are
    decoded one after the other, which keeps activations in the processor's cache.

    Raises:
        ModelError: Colours are not finite.
    """
    batches = codes.split(1) if codes.device.type == "cpu" else [codes]
    return torch.cat([_as_bytes(decode(batch), rounded) for batch in batches])


def in_float32(decode: Decode) -> Decode:
    """`decode` with weights and codebook in float32, for any dtype of the model, whose own weights stay as they are.

    A weight of another dtype is converted when its layer runs, wherever it is kept: the memory is that of one layer.
    """

    def decoded(codes: Tensor) -> Tensor:
        with _InFloat32():
            return decode(codes)

    return decoded


class _InFloat32(TorchFunctionMode):
    """Layers called in it compute in float32; torch.autocast only goes the other way."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in WITH_WEIGHTS:
            return func(*args, **(kwargs or {}))
        return func(*map(_float32, args), **{name: _float32(value) for name, value in (kwargs or {}).items()})


def _float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


def _as_bytes(signed: Tensor, rounded: bool) -> Tensor:
    if not signed.isfinite().all():
        raise not_finite("pixels", "NaN or inf", signed.dtype)
    levels = (signed.float().clamp(-1, 1) + 1) * 127.5
    return (levels + 0.5 if rounded else levels).to(torch.uint8).permute(0, 2, 3, 1)


class VqDecoder(nn.Module):
    """A codebook and the decoder behind it, for grids of any size: Janus' own class draws one size only."""

    def __init__(self, config: JanusVQVAEConfig):
        super().__init__()
        self.quantize = nn.ModuleDict({"embedding": nn.Embedding(config.num_embeddings, config.embed_dim)})
        self.post_quant_conv = nn.Conv2d(config.embed_dim, config.latent_channels, 1)
        self.decoder = JanusVQVAEDecoder(config)

    @property
    def codes(self) -> Tensor:
        """The vectors of the codebook: [codes, D]."""
        return self.get_parameter("quantize.embedding.weight")

    def forward(self, codes: Tensor) -> Tensor:
        """Codes [B, rows, cols] as colours [B, 3, H, W] in -1..1."""
        latents = F.embedding(codes, self.codes).permute(0, 3, 1, 2)
        return self.decoder(self.post_quant_conv(latents))
