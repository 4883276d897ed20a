"""The packages of the extra `eval`."""

from importlib import import_module
from typing import Any

PACKAGES = ("matplotlib", "jinja2", "torchmetrics")


def needed(module: str) -> Any:
    """A module of one of them. Raises ValueError saying how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f'{error.name} is not installed: pip install "fewpass[eval]"') from None


def check_installed() -> None:
    for package in PACKAGES:
        needed(package)
