"""From image codes to what a screen shows."""

from collections.abc import Callable

import torch
from torch import Tensor

from fewpass.errors import not_finite


def painted(decode: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    """What `decode` makes of the codes [B, ...], colours [B, 3, H, W] in -1..1, as uint8 [B, H, W, 3].

    On a CPU one picture is made after the other: what a layer makes of one stays in the processor's cache.
    Raises ModelError for colours that are no numbers.
    """
    portions = codes.split(1) if codes.device.type == "cpu" else [codes]
    return torch.cat([_as_bytes(decode(portion)) for portion in portions])


def _as_bytes(signed: Tensor) -> Tensor:
    if not signed.isfinite().all():
        raise not_finite("pixels", "NaN or inf", signed.dtype)
    return ((signed.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
