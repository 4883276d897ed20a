"""A window that follows what passes cost on this machine, and how many drafts stand."""

from dataclasses import dataclass, field, replace
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from fewpass.needs import Host
from fewpass.prices import PriceList

WINDOWS = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
HALF = 20.0  # drafts that win half of what drafts can win; fitted in docs/research-log.md
FIRST = 10.0  # tokens a pass would win with a window without end, before anything is known
MEMORY = 0.9  # of what earlier passes won
PROBE = 24  # while drafts do not pay, every so many passes a few are asked about all the same


_known: WeakKeyDictionary[object, dict[str, PriceList]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Adaptive:
    """The policy to ask in every pass about as many drafts, `largest` at most, as promise the most tokens per second.

    What passes of the decoder `name` cost is seen while drawing, and kept with the network. What a window of w drafts
    wins is taken to be 1 + gain * w / (w + HALF) tokens, the gain being estimated from the passes so far.
    """

    largest: int
    name: str
    prices: PriceList = field(default_factory=PriceList, compare=False)  # the network's, once it is known

    joins = True

    def prepared(self, session: Host) -> Self:
        owner = getattr(getattr(session, "network", None), "body", None)  # a network may be made for each layout
        if owner is None:
            return self
        return replace(self, prices=_known.setdefault(owner, {}).setdefault(self.name, PriceList()))

    @property
    def windows(self) -> tuple[int, ...]:
        """Those to choose from."""
        return (*(w for w in WINDOWS if w < self.largest), self.largest)

    def begin(self, images: int, device: torch.device) -> Tensor:
        return torch.tensor([[FIRST, 0]], dtype=torch.float64, device=device).repeat(images, 1)

    def choose(self, history: Tensor) -> tuple[int, Tensor]:
        gain, passes = history.mean(0).tolist()
        w = np.array(self.windows)
        speed = (1 + gain * w / (w + HALF)) / self.prices[len(history)](w + 1)
        best = int(w[speed.argmax()])
        probed = best or (min(4, self.largest) if passes % PROBE >= PROBE - 1 else 0)
        return probed, history + history.new_tensor([0, 1])

    def start(self, history: Tensor) -> None:
        self.prices[len(history)].start()

    def learn(self, history: Tensor, window: int, won: Tensor) -> Tensor:
        self.prices[len(history)].stop(window + 1)  # the tokens have been read, so the device is done
        if not window:
            return history
        gain, passes = history.unbind(1)
        gain = MEMORY * gain + (1 - MEMORY) * (won - 1) * (window + HALF) / window
        return torch.stack([gain, passes], 1)
