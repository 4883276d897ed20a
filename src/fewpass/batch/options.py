"""Settings that a row may have of its own, as people write them in tables and in JSON."""

import re
from collections.abc import Callable
from typing import Any

from fewpass.core.checks import read_size, scale
from fewpass.core.sampling import Sampling
from fewpass.decoders.recipes import decoder
from fewpass.engine import seeds


def checked(name: str, value: object) -> Any:
    """The value of an option of `Pipeline.__call__`, written as text or as JSON.

    Raises ValueError naming option and value if there is no such option or the value will not do.
    """
    return OPTIONS[name](name, value)


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


def _guidance(name: str, value: object) -> float:
    return scale(_real(name, value))


def _temperature(name: str, value: object) -> float:
    return Sampling(temperature=_real(name, value)).temperature


def _top_k(name: str, value: object) -> int:
    return Sampling(top_k=whole(name, value)).top_k


def _top_p(name: str, value: object) -> float:
    return Sampling(top_p=_real(name, value)).top_p


def _size(name: str, value: object) -> tuple[int, int]:
    return read_size("" if value is None else value) or (0, 0)


def _decoder(name: str, value: object) -> str:
    return str(decoder(_text(name, value)))


OPTIONS: dict[str, Callable[[str, object], Any]] = {
    "decoder": _decoder,
    "guidance": _guidance,
    "temperature": _temperature,
    "top_k": _top_k,
    "top_p": _top_p,
    "size": _size,
    "negative_prompt": _text,
}
