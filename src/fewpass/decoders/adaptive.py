"""A window that follows what passes cost on this machine, and how many drafts stand."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fewpass.core.protocol import Host
from fewpass.decoders.prices import PriceList

WINDOWS = (0, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256)
HALF = 24.0  # drafts that win half of what drafts can win; fitted in docs/research-log.md
WHOLE = 1.15  # times as much is won where drafts reach into the row below; fitted there too
FIRST = 10.0  # tokens a pass would win with a window without end, before anything is known
MEMORY, LASTING = 0.9, 0.998  # of an image and of all images, for what earlier passes won
OTHERS = 2.0  # chances of an image itself that weigh as much as what is known of others
CAREFUL = 1.03  # drafts have to promise more than that times the tokens per second of none
EPOCH, TRIAL = 1024, 8  # in the first of so many passes, drafts are asked about whether they pay or not
PLAUSIBLE = 1.3  # times the tokens per second that are expected of no drafts may prove true
ASIDE = 16  # every so many passes another window is tried, so that prices of several are known


def chance(window: int, row: int) -> float:
    """What so many drafts win of all that drafts can win, where rows of the picture are so long."""
    return window / (window + HALF) * (WHOLE if window >= row else 1)


@dataclass(eq=False)
class Experience:
    """What drawing with one network and one decoder has taught; it outlives the drawings.

    A pass with a window of w drafts wins 1 + gain * chance(w) tokens. `passes` have been seen, the last one without
    drafts if `idle`.
    """

    prices: PriceList = field(default_factory=PriceList)
    wins: float = FIRST
    chances: float = 1.0
    passes: int = 0
    idle: bool = False

    @property
    def gain(self) -> float:
        """Of an average image."""
        return self.wins / self.chances

    def learn(self, chances: float, won: float) -> None:
        """Drafts of an image have won so many tokens."""
        self.wins, self.chances = LASTING * self.wins + won, LASTING * self.chances + chances


_known: WeakKeyDictionary[object, dict[str, Experience]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Adaptive:
    """The policy to ask in every pass about as many drafts, `largest` at most, as promise the most tokens per second.

    What passes of the decoder `name` cost and win is seen while drawing, and kept with the network; `row` is the length
    of the picture's. The history of an image are the tokens that its drafts have won, and the chances they had, both
    fading.
    """

    largest: int
    name: str
    experience: Experience = field(default_factory=Experience, compare=False)  # the network's, once it is known
    row: int = field(default=sys.maxsize, compare=False)

    joins = True

    def prepared(self, session: Host) -> Self:
        owner = getattr(getattr(session, "network", None), "body", None)  # a network may be made for each layout
        known = self.experience if owner is None else _known.setdefault(owner, {}).setdefault(self.name, Experience())
        return replace(self, experience=known, row=session.grid.cols)

    @property
    def windows(self) -> tuple[int, ...]:
        """Those to choose from."""
        return (*(w for w in WINDOWS if w < self.largest), self.largest)

    def begin(self, images: int, device: torch.device) -> Tensor:
        return torch.zeros(images, 2, dtype=torch.float64, device=device)

    def choose(self, history: Tensor) -> tuple[int, Tensor]:
        idle, passes = self.experience.idle, self.experience.passes
        if idle and passes % EPOCH >= TRIAL and passes % TRIAL:  # there is nothing new to go by
            return 0, history
        return self._best(history.tolist()), history

    def start(self, history: Tensor) -> None:
        self.experience.prices[len(history)].start()

    def learn(self, history: Tensor, window: int, won: Tensor) -> Tensor:
        self.experience.prices[len(history)].stop(window + 1)  # the tokens have been read, so the device is done
        self.experience.passes += 1
        self.experience.idle = not window
        if not window:
            return history
        extra, chances = won - 1, chance(window, self.row)
        self.experience.learn(chances, float(extra.double().mean()))
        return torch.stack([MEMORY * history[:, 0] + extra, MEMORY * history[:, 1] + chances], 1)

    def _best(self, remembered: Sequence[Sequence[float]]) -> int:
        price, passes = self.experience.prices[len(remembered)], self.experience.passes
        gain = sum((OTHERS * self.experience.gain + wins) / (OTHERS + chances) for wins, chances in remembered)
        speed = [(1 + gain / len(remembered) * chance(w, self.row)) / price(w + 1) for w in self.windows]
        trial = passes % EPOCH < TRIAL
        best = max(range(len(speed)), key=lambda i: speed[i] * (1 if i else 0 if trial else CAREFUL))
        if best and not trial and passes % ASIDE == 0:
            larger, smaller = min(best + 1, len(speed) - 1), max(best - 1, 1)
            best = larger if passes % (2 * ASIDE) else 0 if PLAUSIBLE * speed[0] > speed[best] else smaller
        return self.windows[best]
