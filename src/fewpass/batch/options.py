"""Options that a row may set, written as text in tables and as JSON values in JSON."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from fewpass.core.checks import read_size
from fewpass.core.sampling import Sampling
from fewpass.decoders.recipes import decoder
from fewpass.engine import seeds


def read_options(given: Mapping[str, object]) -> dict[str, Any]:
    """Read options of `Pipeline.__call__`, written as text or as JSON values; options that are None are left out.

    Raises ValueError naming the option and the value that is out of range.
    """
    options = {name: OPTIONS[name](name, value) for name, value in given.items() if value is not None}
    Sampling(**{name: options[name] for name in SAMPLING if name in options})
    return options


def whole(name: str, value: object) -> int:
    """Read an integer below 2**63."""
    number = value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,30}", value.strip()):
        number = int(value)
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= seeds.LIMIT:
        raise ValueError(f"{name} must be a whole number below 2**63, not {value!r}")
    return number


def _real(name: str, value: object) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{name} must be a number, not {value!r}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or re.search("[\ud800-\udfff]", value):  # surrogates
        raise ValueError(f"{name} must be a text, not {value!r}")
    return value


def _guidance(name: str, value: object) -> float:
    scale = _real(name, value)
    if not 0 <= scale < float("inf"):
        raise ValueError(f"{name} must be a number >= 0, not {value!r}")
    return scale


def _size(name: str, value: object) -> tuple[int, int]:
    return read_size("" if value is None else value) or (0, 0)


def _decoder(name: str, value: object) -> str:
    return str(decoder(_text(name, value)))


OPTIONS: dict[str, Callable[[str, object], Any]] = {
    "decoder": _decoder,
    "guidance": _guidance,
    "temperature": _real,
    "top_k": whole,
    "top_p": _real,
    "size": _size,
    "negative_prompt": _text,
}
SAMPLING = ("temperature", "top_k", "top_p")
