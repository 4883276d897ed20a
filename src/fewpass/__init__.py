"""Autoregressive text-to-image models in a fraction of the forward passes, without training anything."""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewpass.api import *  # noqa: F403

__version__ = "0.1.0"


class _Package(ModuleType):
    """The public names are those of `fewpass.api`, loaded when first used: `fewpass --help` need not wait for torch."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__" or not (name.startswith("_") or find_spec(f"{self.__name__}.{name}")):
            return self._public(name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__all__})

    def _public(self, name: str) -> Any:
        import fewpass.api

        if name == "__all__" or name in fewpass.api.__all__:
            return getattr(fewpass.api, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    @property
    def decode(self) -> Any:
        """The function; the import system would put the module of that name here."""
        return self._public("decode")

    @decode.setter
    def decode(self, module: ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _Package
