"""Devices, precisions and memory layouts."""

import torch
from torch import nn

from fewpass.core.messages import shown

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}


def chosen_device(device: str | torch.device | None) -> torch.device:
    """The requested device, or the GPU if there is one.

    Raises:
        ValueError: The device does not exist, or has no float64.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ValueError(f"there is no device called {shown(device)}; use cpu or cuda") from None
    if chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"device {str(chosen)!r} is not supported: fewpass needs float64; use cpu or cuda")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {str(chosen)!r} is not there: {torch.cuda.device_count()} GPUs are visible")
    return chosen


def chosen_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The requested precision; by default float32 on the CPU and bfloat16 on a GPU."""
    if dtype is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    chosen = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen is None or chosen not in DTYPES.values():
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {shown(str(dtype))}")
    return chosen


def by_channels(model: nn.Module) -> None:
    """Lay the convolution weights of a model on a CPU out with channels last, in place."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.device.type == "cpu":
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
