"""From what decoders paint to what a screen shows."""

import torch
from torch import Tensor


def as_bytes(signed: Tensor) -> Tensor:
    """Colours [B, 3, H, W] in -1..1 as uint8 [B, H, W, 3]."""
    return ((signed.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
