"""One seed for every image."""

import operator
import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

LIMIT = 2**63


def assign(seed: int | Sequence[int] | None, images: int) -> list[int]:
    """The seeds of `images` images: a number s gives image i the seed s + i, a list one each, None draws them.

    Raises ValueError for a seed outside 0 <= seed < 2**63, or a list of another length.
    """
    if seed is None:
        return [secrets.randbelow(LIMIT) for _ in range(images)]
    if isinstance(seed, Sequence) and not isinstance(seed, str):
        seeds = [_checked(s) for s in seed]
        if len(seeds) != images:
            raise ValueError(f"{len(seeds)} seeds for {images} images")
        return seeds
    return [_checked(_checked(seed) + i) for i in range(images)]


def endless(seed: int | Iterable[int] | None) -> Iterator[int]:
    """One seed after the other, as `assign` would give them; an iterable may come to its end."""
    if isinstance(seed, Iterable) and not isinstance(seed, str):
        return map(_checked, seed)
    if seed is None:
        return (secrets.randbelow(LIMIT) for _ in count())
    return map(_checked, count(_checked(seed)))


def _checked(seed: object) -> int:
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"a seed must be a whole number, not {seed!r}") from None
    if not 0 <= number < LIMIT or isinstance(seed, bool):
        raise ValueError(f"a seed must lie in 0 <= seed < 2**63, not {seed}")
    return number
