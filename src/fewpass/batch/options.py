"""Options that a row may have of its own, as people write them in tables and in JSON."""

import re
from dataclasses import fields
from typing import Any

from fewpass.engine import seeds
from fewpass.engine.options import GenerationOptions

KINDS = {option.name: option.metadata["kind"] for option in fields(GenerationOptions) if option.name != "seed"}
OPTIONS = tuple(KINDS)


def checked(name: str, value: object) -> Any:
    """The value of an option of `Pipeline.__call__`, written as text or as JSON.

    Raises ValueError naming option and value if the value is out of range.
    """
    read: Any = {int: whole, float: _real, str: _text, object: _any}[KINDS[name]](name, value)
    options = GenerationOptions(**{name: read}).checked()
    return str(options.decoder) if name == "decoder" else getattr(options, name)


def whole(name: str, value: object) -> int:
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
    if not isinstance(value, str) or not value.strip() or re.search("[\ud800-\udfff]", value):  # no UTF-8
        raise ValueError(f"{name} must be a text, not {value!r}")
    return value


def _any(name: str, value: object) -> object:
    return "" if value is None else value
