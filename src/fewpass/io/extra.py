"""The packages of the extras."""

from importlib.util import find_spec


def check_installed(extra: str, *packages: str) -> None:
    """Raise ImportError with the command that installs `extra` if one of its `packages` is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise ImportError(f'{package} is not installed: pip install "fewpass[{extra}]"')
