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


def share(right: ArrayLike) -> Estimate:
    """Share of true values, with Wilson's interval."""
    truths = np.asarray(right, dtype=bool)
    n = len(truths)
    if n == 0:
        return Estimate()
    p, z2 = float(truths.mean()), Z * Z / n
    centre = (p + z2 / 2) / (1 + z2)
    reach = Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
    return Estimate(p, max(0.0, centre - reach), min(1.0, centre + reach), n, math.sqrt(p * (1 - p) / n))


def share_difference(new: ArrayLike, old: ArrayLike) -> Estimate:
    """Paired difference of the shares of `new` and `old`, with the interval of Agresti and Min (2005).

    That is Wald's with half a pair added to each of the four outcomes, which keeps its level when few pairs differ.
    """
    one, other = np.asarray(new, dtype=bool), np.asarray(old, dtype=bool)
    n, won, lost = len(one), int((one & ~other).sum()), int((~one & other).sum())
    if n == 0:
        return Estimate()
    m, more, less = n + 2, won + 0.5, lost + 0.5
    at = (more - less) / m
    error = math.sqrt(max(0.0, (more + less) - (more - less) ** 2 / m)) / m
    return Estimate((won - lost) / n, max(at - Z * error, -1.0), min(at + Z * error, 1.0), n, error)
