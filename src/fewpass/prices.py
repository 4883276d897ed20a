"""What passes cost, learnt as they go by."""

import time
from collections.abc import Callable

import numpy as np

DOUBLE = 16.0  # tokens of all images together


class Prices:
    """Seconds of a pass over n tokens: a line a + b n, through all passes so far with the newest counting most.

    The squares of relative errors are least; before passes of several sizes are known, `double` tokens are taken to
    double the price. `clock` counts seconds.
    """

    MEMORY = 0.995
    TRUST = 0.05  # in that first assumption, in passes

    def __init__(self, clock: Callable[[], float] = time.perf_counter, double: float = DOUBLE) -> None:
        self._clock, self._started, self._double = clock, 0.0, double
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
            for n in (1, 1 + 2 * self._double):
                self._add(n, seconds * (self._double + n) / (self._double + tokens), self.TRUST)
        self._squares *= self.MEMORY
        self._products *= self.MEMORY
        self._add(tokens, seconds, 1.0)

    def _add(self, tokens: float, seconds: float, weight: float) -> None:
        x = np.array([1.0, tokens]) / seconds
        self._squares += weight * np.outer(x, x)
        self._products += weight * x

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Seconds, or multiples of some unit as long as nothing is known."""
        if not self._squares.any():
            return 1.0 + tokens / self._double
        a, b = np.linalg.lstsq(self._squares, self._products, rcond=None)[0]
        if a < 0:
            a, b = 0.0, self._products[1] / self._squares[1, 1]
        if b < 0:
            a, b = self._products[0] / self._squares[0, 0], 0.0
        return a + b * tokens


class PriceList(dict[int, Prices]):
    """The prices of one network, for each number of images drawn together; they outlive the drawings."""

    def __missing__(self, images: int) -> Prices:
        return self.setdefault(images, Prices(double=DOUBLE / images))
