"""A window that follows what passes cost on this machine, and how many drafts stand."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from fewpass.canvas import Canvas
from fewpass.decoders import Decoder, Query, State
from fewpass.needs import Host
from fewpass.ngrams import NGrams
from fewpass.noise import Noise

WINDOWS = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
HALF = 20.0  # drafts that win half of what drafts can win; fitted in docs/research-log.md
FIRST = 10.0  # tokens a pass would win with a window without end, before anything is known
MEMORY = 0.9  # of what earlier passes won
PROBE = 24  # while drafts do not pay, every so many passes a few are asked about all the same


class Prices:
    """Seconds of a pass over n tokens: a line a + b n, through all passes so far with the newest counting most.

    The squares of relative errors are least; before passes of several sizes are known, `DOUBLE` tokens are taken to
    double the price. Every network has prices of its own, which outlive the drawings. `clock` counts seconds.
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


_known: WeakKeyDictionary[object, Prices] = WeakKeyDictionary()


@dataclass(frozen=True)
class Adaptive(Decoder):
    """Asks in every pass about as many drafts of `ngrams` as promise the most tokens per second. Lossless.

    Under fixed noise the tokens are those of `ar`, whatever is asked about; so the window is free to follow the
    machine's speed, which differs from run to run. No other rule may be wrapped: there the window changes the image.

    What passes cost is seen while drawing. What a window of w drafts wins is taken to be 1 + gain * w / (w + HALF)
    tokens, the gain being estimated from the passes so far.
    """

    ngrams: NGrams
    prices: Prices = field(default_factory=Prices, compare=False)  # the network's, once it is known

    def prepared(self, session: Host) -> Self:
        owner = getattr(getattr(session, "network", None), "body", None)  # a network may be made for each layout
        return self if owner is None else replace(self, prices=_known.setdefault(owner, Prices()))

    @property
    def margin(self) -> int:
        return self.ngrams.margin

    @property
    def windows(self) -> tuple[int, ...]:
        """Those to choose from."""
        largest = self.ngrams.window
        return (*(w for w in WINDOWS if w < largest), largest)

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        history = torch.tensor([[FIRST, 0]], dtype=torch.float64, device=p.device).repeat(len(p), 1)
        return *self.ngrams.begin(canvas, p, noise), history

    def draft(self, canvas: Canvas, state: State) -> Query:
        self.prices.start()
        return self.ngrams.ask(canvas, state[:-1], min(self.choice(state[-1]), canvas.open))

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        before, (gain, passes), W = canvas.length, state[-1].unbind(1), p.shape[1] - 1
        known = self.ngrams.verify(canvas, state[:-1], p, noise)
        canvas.lengths  # noqa: B018  waits for the device
        self.prices.stop(p[..., 0].numel())
        if W:
            won = (canvas.length - before - 1) * (W + HALF) / W
            gain = MEMORY * gain + (1 - MEMORY) * won
        return *known, torch.stack([gain, passes + 1], 1)

    def choice(self, history: Tensor) -> int:
        """How many drafts to ask about next."""
        gain, passes = history.mean(0).tolist()
        w = np.array(self.windows)
        speed = (1 + gain * w / (w + HALF)) / self.prices(len(history) * (w + 1))
        best = int(w[speed.argmax()])
        return best or (4 if passes % PROBE >= PROBE - 1 else 0)
