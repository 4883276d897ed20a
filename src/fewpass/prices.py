"""What passes cost, learnt as they go by."""

import time
from collections.abc import Callable

import numpy as np


class Prices:
    """Seconds of a pass over n tokens: a line a + b n, through all passes so far with the newest counting most.

    The squares of relative errors are least; before passes of several sizes are known, `DOUBLE` tokens are taken to
    double the price. `clock` counts seconds.
    """

    MEMORY = 0.995
    DOUBLE = 32
    TRUST = 0.05  # in that first assumption, in passes

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._started = clock, 0.0
        self._squares, self._products = np.zeros((2, 2)), np.zeros(2)

    def start(self) -> None:
        """A pass begins."""
        self._started = self._clock()

    def stop(self, tokens: int) -> None:
        """That pass is done; it was about so many tokens."""
        self.note(tokens, self._clock() - self._started)

    def note(self, tokens: int, seconds: float) -> None:
        """A pass over so many tokens has taken so long."""
        if not self._squares.any():
            for n in (1, 1 + 2 * self.DOUBLE):
                self._add(n, seconds * (self.DOUBLE + n) / (self.DOUBLE + tokens), self.TRUST)
        self._squares *= self.MEMORY
        self._products *= self.MEMORY
        self._add(tokens, seconds, 1.0)

    def _add(self, tokens: int, seconds: float, weight: float) -> None:
        x = np.array([1.0, tokens]) / seconds
        self._squares += weight * np.outer(x, x)
        self._products += weight * x

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Seconds, or multiples of some unit as long as nothing is known."""
        if not self._squares.any():
            return 1.0 + tokens / self.DOUBLE
        a, b = np.linalg.lstsq(self._squares, self._products, rcond=None)[0]
        if a < 0:
            a, b = 0.0, self._products[1] / self._squares[1, 1]
        if b < 0:
            a, b = self._products[0] / self._squares[0, 0], 0.0
        return a + b * tokens


class PriceList(dict[int, Prices]):
    """The prices of one network, for each number of images drawn together; they outlive the drawings."""

    def __missing__(self, images: int) -> Prices:
        return self.setdefault(images, Prices())
