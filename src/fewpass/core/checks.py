"""Numbers and sizes that callers give, checked before any work."""

import math
import operator
import re
from collections.abc import Sequence
from typing import Any

from fewpass.core.messages import shown

Size = int | str | Sequence[int | str]  # a square's side, "WIDTHxHEIGHT", or (width, height)
MOST = 2**14  # drafts, candidates or neighbours: more than any image has tokens, and memory grows with them
STRONGEST = 1e6  # guidance scale: products with larger ones may overflow
SIDE = 2**14  # pixels: a grid is laid out before it is known whether a model can read so many tokens


def whole(name: str, value: object, least: int | None = None, most: int | None = None, of: str = "") -> int:
    """`value`, a whole number of Python, NumPy or torch, as an int; `of` names its unit.

    Raises ValueError if it is something else, or not from `least` to `most`.
    """
    try:
        number = operator.index(_number(value))
    except TypeError:
        number = None
    high = number is not None and most is not None and number > most
    if number is not None and not high and (least is None or number >= least):
        return number
    bound = f" <= {most}" if high else "" if least is None else f" >= {least}"
    raise ValueError(f"{name} must be a whole number{of and f' of {of}'}{bound}, got {shown(value)}")


def real(name: str, value: object, least: float = -math.inf, finite: bool = False) -> float:
    """`value`, a number of Python, NumPy or torch, as a float. Raises ValueError for NaN and anything else."""
    try:
        number = float(_number(value))
    except (TypeError, OverflowError):
        number = math.nan
    if number >= least and not (finite and math.isinf(number)):
        return number
    raise ValueError(f"{name} must be a number{'' if least == -math.inf else f' >= {least:g}'}, got {shown(value)}")


def scale(value: object) -> float:
    """A guidance scale. Raises ValueError for any other value."""
    number = real("guidance", value, 0, finite=True)
    if number > STRONGEST:
        raise ValueError(f"guidance must be a number <= {STRONGEST:.0f}, got {shown(value)}")
    return number


def plain(value: Any) -> Any:
    """`value`, but a single number of NumPy or torch as one of Python."""
    return value.tolist() if getattr(value, "ndim", None) == 0 else value


def _number(value: object) -> Any:
    """A number of Python, if `value` may be one. Raises TypeError for truth values, texts and arrays."""
    number = plain(value)
    if isinstance(number, bool | str | bytes | bytearray) or hasattr(number, "ndim"):
        raise TypeError
    return number


def read_size(size: object) -> tuple[int, int] | None:
    """Width and height in pixels of `"384x256"`, of two numbers, or of one number for a square; None stays None.

    Numbers may be texts. Raises ValueError for anything else.
    """
    if size is None:
        return None
    given = size.tolist() if hasattr(size, "tolist") else size
    try:
        match given.lower().split("x") if isinstance(given, str) else given:
            case [width, height]:
                return _side(width), _side(height)
            case [side] if isinstance(given, str):
                return _side(side), _side(side)
            case side:
                return _side(side), _side(side)
    except ValueError:
        raise ValueError(
            f"size must be WIDTHxHEIGHT in pixels, or one number for a square, at most {SIDE}, got {shown(size)}"
        ) from None


def _side(value: object) -> int:
    digits = isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}\s*", value)
    return whole("size", int(digits[0]) if digits else value, 0, SIDE)


def check_unicode(name: str, text: str) -> None:
    """Raise ValueError for halves of letters: escapes of JSON, and bytes on a command line that are no UTF-8."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"{name} must be text in Unicode, got {shown(text)}")
