"""A window that follows what passes cost on this machine, and how many drafts stand."""

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
from fewpass.prices import PriceList

WINDOWS = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
HALF = 20.0  # drafts that win half of what drafts can win; fitted in docs/research-log.md
FIRST = 10.0  # tokens a pass would win with a window without end, before anything is known
MEMORY = 0.9  # of what earlier passes won
PROBE = 24  # while drafts do not pay, every so many passes a few are asked about all the same


_known: WeakKeyDictionary[object, PriceList] = WeakKeyDictionary()


@dataclass(frozen=True)
class Adaptive(Decoder):
    """Asks in every pass about as many drafts of `ngrams` as promise the most tokens per second. Lossless.

    Under fixed noise the tokens are those of `ar`, whatever is asked about; so the window is free to follow the
    machine's speed, which differs from run to run. No other rule may be wrapped: there the window changes the image.

    What passes cost is seen while drawing. What a window of w drafts wins is taken to be 1 + gain * w / (w + HALF)
    tokens, the gain being estimated from the passes so far.
    """

    ngrams: NGrams
    prices: PriceList = field(default_factory=PriceList, compare=False)  # the network's, once it is known

    def prepared(self, session: Host) -> Self:
        owner = getattr(getattr(session, "network", None), "body", None)  # a network may be made for each layout
        return self if owner is None else replace(self, prices=_known.setdefault(owner, PriceList()))

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
        self.prices[len(canvas.tokens)].start()
        return self.ngrams.ask(canvas, state[:-1], min(self.choice(state[-1]), canvas.open))

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        before, (gain, passes), W = canvas.length, state[-1].unbind(1), p.shape[1] - 1
        known = self.ngrams.verify(canvas, state[:-1], p, noise)  # reads the answers, so the device is done
        self.prices[len(p)].stop(W + 1)
        if W:
            won = (canvas.length - before - 1) * (W + HALF) / W
            gain = MEMORY * gain + (1 - MEMORY) * won
        return *known, torch.stack([gain, passes + 1], 1)

    def choice(self, history: Tensor) -> int:
        """How many drafts to ask about next."""
        gain, passes = history.mean(0).tolist()
        w = np.array(self.windows)
        speed = (1 + gain * w / (w + HALF)) / self.prices[len(history)](w + 1)
        best = int(w[speed.argmax()])
        return best or (4 if passes % PROBE >= PROBE - 1 else 0)
