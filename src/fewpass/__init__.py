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


def _public() -> dict[str, Any]:
    import fewpass.api

    return {name: value for name, value in vars(fewpass.api).items() if not name.startswith("_")}


def _public_name(name: str) -> Any:
    """The public names are those of `fewpass.api`, loaded when first used: `fewpass --help` need not wait for torch."""
    if name == "__all__":
        return sorted(_public())
    if name.isidentifier() and not (name.startswith("_") or find_spec(f"{__name__}.{name}")) and name in _public():
        return _public()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})


if not TYPE_CHECKING:  # to a type checker, names that do not exist would be `Any`
    __getattr__ = _public_name
