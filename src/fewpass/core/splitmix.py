"""splitmix64, a mixer of 64 bits, on wrapping int64 of torch or NumPy."""

from typing import TypeVar

import numpy as np
from torch import Tensor

GOLDEN = -0x61C8864680B583EB  # 2**64 / golden ratio: successive multiples are far apart in every bit
Numbers = TypeVar("Numbers", Tensor, np.ndarray)


def mix(x: Numbers) -> Numbers:
    """The splitmix64 finaliser."""
    x = (x ^ _shift(x, 30)) * -0x40A7B892E31B1A47
    x ^= _shift(x, 27)
    x *= -0x6B2FB644ECCEEE15
    x ^= _shift(x, 31)
    return x


def bits(x: Tensor) -> Tensor:
    """The upper 40 bits, the best mixed ones."""
    return _shift(x, 24)


def _shift(x: Numbers, by: int) -> Numbers:
    """To the right: the mask turns an arithmetic shift into a logical one."""
    x = x >> by
    x &= (1 << 64 - by) - 1
    return x
