"""Means with their standard errors and 95 % confidence intervals."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Z = 1.959964  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Estimate:
    """`low` and `high` bound the 95 % interval, `error` is the standard error; NaN where `n` is too small for them."""

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    error: float = math.nan


def normal(at: float, error: float, n: int, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """An estimate with the normal interval, cut at the bounds `least` and `most` of the values."""
    return Estimate(at, max(at - Z * error, least), min(at + Z * error, most), n, error)  # in this order, NaN stays


def mean(values: ArrayLike, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """Mean of the finite values, which lie between `least` and `most`."""
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    n = len(numbers)
    if n == 0:
        return Estimate()
    error = float(numbers.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return normal(float(numbers.mean()), error, n, least, most)
