"""Autoregressive text-to-image models in a fraction of the forward passes, without training anything."""

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewpass.api import *  # noqa: F403

__version__ = "0.2.0"

# Threads that spin while they wait for each other take seven times as long as soon as anything else wants a core.
if "torch" not in sys.modules:  # which reads it when it is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    """The public names are those of `fewpass.api`, loaded when first used: `fewpass --help` need not wait for torch."""
    if name == "__all__" or not (name.startswith("_") or find_spec(f"{__name__}.{name}")):
        names = _public()
        if name == "__all__":
            return sorted(names)
        if name in names:
            return names[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})


def _public() -> dict[str, Any]:
    import fewpass.api

    return {name: value for name, value in vars(fewpass.api).items() if not name.startswith("_")}
