"""Means with their 95 % confidence intervals."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Z = 1.959964  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Estimate:
    """`low` and `high` bound the 95 % interval; NaN where `n` is too small to have one."""

    mean: float
    low: float
    high: float
    n: int


def mean(values: ArrayLike, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """Mean of the finite values, with the normal interval, cut at the bounds `least` and `most` of the values."""
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    n = len(numbers)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    at = float(numbers.mean())
    reach = Z * float(numbers.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Estimate(at, max(at - reach, least), min(at + reach, most), n)  # in this order, NaN stays NaN


def share(right: ArrayLike) -> Estimate:
    """Share of true values, with Wilson's interval."""
    truths = np.asarray(right, dtype=bool)
    n = len(truths)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    p, z2 = float(truths.mean()), Z * Z / n
    centre = (p + z2 / 2) / (1 + z2)
    reach = Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
    return Estimate(p, max(0.0, centre - reach), min(1.0, centre + reach), n)


def share_difference(new: ArrayLike, old: ArrayLike) -> Estimate:
    """Paired difference of the shares of `new` and `old`, with the interval of Agresti and Min (2005).

    That is Wald's with half a pair added to each of the four outcomes, which keeps its level when few pairs differ.
    """
    one, other = np.asarray(new, dtype=bool), np.asarray(old, dtype=bool)
    n, won, lost = len(one), int((one & ~other).sum()), int((~one & other).sum())
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    m, more, less = n + 2, won + 0.5, lost + 0.5
    at = (more - less) / m
    reach = Z * math.sqrt(max(0.0, (more + less) - (more - less) ** 2 / m)) / m
    return Estimate((won - lost) / n, max(at - reach, -1.0), min(at + reach, 1.0), n)
