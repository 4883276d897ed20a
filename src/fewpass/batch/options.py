"""Options that a row may set, written as text in tables and as JSON values in JSON."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fewpass.engine import seeds
from fewpass.engine.options import GenerationOptions

KINDS = {option.name: option.metadata["kind"] for option in fields(GenerationOptions) if option.name != "seed"}
OPTIONS = tuple(KINDS)


def read_options(given: Mapping[str, object]) -> dict[str, Any]:
    """Read options of `Pipeline.__call__`, written as text or as JSON values; options that are None are left out.

    Raises ValueError naming the option and the value that is out of range.
    """
    read: dict[type, Any] = {int: whole, float: _real, str: _text, object: _any}
    values = {name: read[KINDS[name]](name, value) for name, value in given.items() if value is not None}
    options = GenerationOptions(**values).checked()
    return {name: str(options.decoder) if name == "decoder" else getattr(options, name) for name in values}


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


def _any(name: str, value: object) -> object:
    return "" if value is None else value
