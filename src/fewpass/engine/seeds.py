"""One seed for every image."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from fewpass.core.checks import whole
from fewpass.core.messages import shown

LIMIT = 2**63
DRAWN = 2**48 - 2**40  # a drawn seed is less: JavaScript, jq and spreadsheets keep it and the next 2**40 as they are


def draw() -> int:
    """A seed for the first of some images."""
    return secrets.randbelow(DRAWN)


def assign(seed: int | Sequence[int] | None, images: int) -> Sequence[int]:
    """The seeds of `images` images: a number s gives image i the seed s + i, a list one each, None draws s.

    Raises ValueError for a seed outside 0 <= seed < 2**63, or a list of another length.
    """
    if isinstance(seed, Sequence) and not isinstance(seed, str | bytes):
        if len(seed) != images:
            raise ValueError(f"{len(seed)} seeds for {images} images")
        return [_checked(s) for s in seed]
    first = draw() if seed is None else _checked(seed)
    _checked(first + max(images, 1) - 1)
    return range(first, first + images)


def endless(seed: int | Iterable[int] | None) -> Iterator[int]:
    """One seed after the other, as `assign` would give them; an iterable may come to its end."""
    if isinstance(seed, Iterable) and not isinstance(seed, str | bytes) and getattr(seed, "ndim", 1) != 0:
        return map(_checked, seed)
    return map(_checked, count(draw() if seed is None else _checked(seed)))


def _checked(seed: object) -> int:
    number = whole("a seed", seed)
    if not 0 <= number < LIMIT:
        raise ValueError(f"a seed must lie in 0 <= seed < 2**63, got {shown(number)}")
    return number
