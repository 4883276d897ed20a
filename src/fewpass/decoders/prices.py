"""What passes cost, learnt as they go by."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

DOUBLE = 16.0  # tokens of all images together
TRUST = 0.05  # in what is assumed beforehand, in passes
RECENT = 30  # passes of a size that count for its average
OFTEN = 32  # passes between two looks at the line


@dataclass
class Average:
    """A mean of the newest numbers, where an outlier counts little."""

    weight: float = 0.0
    value: float = 0.0

    def add(self, x: float) -> None:
        self.weight = min(self.weight + 1, RECENT)
        self.value += (min(x, 2 * self.value or x) - self.value) / self.weight


class Prices:
    """Seconds of a pass about n positions of each image: a line a + b n through those of all sizes.

    Passes about a single position are a kind of their own, and often cheaper than the line says: those that have been
    seen speak for themselves. The squares of relative errors are least; before passes of several sizes are known,
    `double` positions are taken to double the price. `clock` counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, double: float = DOUBLE) -> None:
        self._clock, self._started, self._double = clock, 0.0, double
        self._seen: dict[int, Average] = {}
        self._noted, self._line = 0, (1.0, 1 / double)  # of some unit, as long as nothing is known

    def start(self) -> None:
        """A pass begins."""
        self._started = self._clock()

    def stop(self, n: int) -> None:
        """That pass is done; it was about so many positions."""
        self.note(n, self._clock() - self._started)

    def note(self, n: int, seconds: float) -> None:
        """A pass about so many positions has taken so long."""
        self._seen.setdefault(n, Average()).add(seconds)
        self._noted += 1
        if self._noted % OFTEN == 0 or self._noted & (self._noted - 1) == 0:
            wider = {size: average for size, average in self._seen.items() if size > 1}
            self._line = _fitted(wider or self._seen, self._double)

    def __call__(self, n: float) -> float:
        """Seconds, or multiples of some unit as long as nothing is known."""
        if n == 1 and 1 in self._seen:
            return self._seen[1].value
        a, b = self._line
        return a + b * n


def _fitted(seen: Mapping[int, Average], double: float) -> tuple[float, float]:
    x, weight, y = (
        np.array(column, float) for column in zip(*((n, a.weight, a.value) for n, a in seen.items()), strict=True)
    )
    unit = np.average(y / (double + x), weights=weight)
    assumed = np.array([1, 1 + 2 * double])
    x, y, weight = np.append(x, assumed), np.append(y, unit * (double + assumed)), np.append(weight, [TRUST] * 2)
    rows = np.stack([1 / y, x / y], 1) * np.sqrt(weight)[:, None]
    a, b = np.linalg.lstsq(rows, np.sqrt(weight), rcond=None)[0].tolist()
    if a < 0:
        return 0.0, float((weight * x / y).sum() / (weight * (x / y) ** 2).sum())
    if b < 0:
        return float((weight / y).sum() / (weight / y**2).sum()), 0.0
    return a, b


class PriceList(dict[int, Prices]):
    """The prices of one network, for each number of images drawn together; they outlive the drawings."""

    def __missing__(self, images: int) -> Prices:
        return self.setdefault(images, Prices(double=DOUBLE / images))
