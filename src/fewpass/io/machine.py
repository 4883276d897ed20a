"""The machine and the versions behind a measurement."""

import os
import platform
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

PACKAGES = ("fewpass", "torch", "transformers", "numpy", "pillow", "torchmetrics", "matplotlib")


def machine(device: torch.device) -> str:
    """The CPU and its threads, after the GPU if the model is on one: `AMD EPYC 9654, 8 of 16 threads`."""
    several, patience = torch.get_num_threads() > 1, os.environ.get("OMP_WAIT_POLICY", "").upper()
    asleep = ", asleep while they wait" if several and patience == "PASSIVE" else ""
    processor = f"{_processor()}, {torch.get_num_threads()} of {os.cpu_count()} threads{asleep}"
    return f"{torch.cuda.get_device_name(device)}, {processor}" if device.type == "cuda" else processor


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def fingerprint(model: nn.Module) -> str:
    """A hash of some numbers of every weight tensor."""
    digest = sha256()
    for name, weight in sorted(model.state_dict().items()):
        flat = weight.detach().flatten()
        some = flat[:: max(1, len(flat) // 64)][:64].cpu()
        digest.update(name.encode() + some.to(torch.float64).numpy().tobytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
