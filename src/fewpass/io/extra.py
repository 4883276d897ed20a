"""The packages of the extra `eval`."""

from importlib import import_module
from typing import Any

PACKAGES = ("matplotlib", "jinja2", "torchmetrics")


def needed(module: str) -> Any:
    """Import a module of one of them. Raises ImportError with the command that installs it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f'{error.name} is not installed: pip install "fewpass[eval]"') from None


def check_installed() -> None:
    """Raise ImportError if a package is missing."""
    for package in PACKAGES:
        needed(package)
