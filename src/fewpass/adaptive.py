"""A window that follows what passes cost on this machine, and how many drafts stand."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fewpass.needs import Host
from fewpass.prices import PriceList

WINDOWS = (0, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
HALF = 24.0  # drafts that win half of what drafts can win; fitted in docs/research-log.md
FIRST = 10.0  # tokens a pass would win with a window without end, before anything is known
MEMORY, LASTING = 0.9, 0.998  # of an image and of all images, for what earlier passes won
OTHERS = 2.0  # chances of an image itself that weigh as much as what is known of others
CAREFUL = 1.03  # drafts have to promise more than that times the tokens per second of none
EPOCH, TRIAL = 256, 8  # in the first of so many passes, drafts are asked about whether they pay or not
PLAUSIBLE = 1.3  # times the tokens per second that are expected of no drafts may prove true
ASIDE = 16  # every so many passes another window is tried, so that prices of several are known


def chance(window: int) -> float:
    """What so many drafts win of all that drafts can win."""
    return window / (window + HALF)


@dataclass(eq=False)
class Experience:
    """What drawing with one network and one decoder has taught; it outlives the drawings.

    A pass with a window of w drafts wins 1 + gain * chance(w) tokens.
    """

    prices: PriceList = field(default_factory=PriceList)
    wins: float = FIRST
    chances: float = 1.0

    @property
    def gain(self) -> float:
        """Of an average image."""
        return self.wins / self.chances

    def learn(self, window: int, won: float) -> None:
        """Drafts of an image have won so many tokens."""
        self.wins, self.chances = LASTING * self.wins + won, LASTING * self.chances + chance(window)


_known: WeakKeyDictionary[object, dict[str, Experience]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Adaptive:
    """The policy to ask in every pass about as many drafts, `largest` at most, as promise the most tokens per second.

    What passes of the decoder `name` cost and win is seen while drawing, and kept with the network. The history of an
    image are the tokens that its drafts have won, and the chances they had, both fading; its passes; its window.
    """

    largest: int
    name: str
    experience: Experience = field(default_factory=Experience, compare=False)  # the network's, once it is known

    joins = True

    def prepared(self, session: Host) -> Self:
        owner = getattr(getattr(session, "network", None), "body", None)  # a network may be made for each layout
        if owner is None:
            return self
        return replace(self, experience=_known.setdefault(owner, {}).setdefault(self.name, Experience()))

    @property
    def windows(self) -> tuple[int, ...]:
        """Those to choose from."""
        return (*(w for w in WINDOWS if w < self.largest), self.largest)

    def begin(self, images: int, device: torch.device) -> Tensor:
        return torch.zeros(images, 4, dtype=torch.float64, device=device)

    def choose(self, history: Tensor) -> tuple[int, Tensor]:
        remembered = history.tolist()
        _, _, passes, before = map(max, zip(*remembered, strict=True))
        # After a pass without drafts there is nothing new to go by.
        news = before or passes % EPOCH < TRIAL or passes % TRIAL == 0
        W = self._best(remembered, int(passes)) if news else 0
        wins, chances, count, _ = history.unbind(1)
        return W, torch.stack([wins, chances, count + 1, torch.full_like(wins, W)], 1)

    def start(self, history: Tensor) -> None:
        self.experience.prices[len(history)].start()

    def learn(self, history: Tensor, window: int, won: Tensor) -> Tensor:
        self.experience.prices[len(history)].stop(window + 1)  # the tokens have been read, so the device is done
        if not window:
            return history
        extra = won - 1
        self.experience.learn(window, float(extra.double().mean()))
        wins, chances, passes, W = history.unbind(1)
        return torch.stack([MEMORY * wins + extra, MEMORY * chances + chance(window), passes, W], 1)

    def _best(self, remembered: Sequence[Sequence[float]], passes: int) -> int:
        price = self.experience.prices[len(remembered)]
        gain = sum((OTHERS * self.experience.gain + wins) / (OTHERS + chances) for wins, chances, *_ in remembered)
        speed = [(1 + gain / len(remembered) * chance(w)) / price(w + 1) for w in self.windows]
        trial = passes % EPOCH < TRIAL
        best = max(range(len(speed)), key=lambda i: speed[i] * (1 if i else 0 if trial else CAREFUL))
        if best and not trial and passes % ASIDE == 0:
            larger, smaller = min(best + 1, len(speed) - 1), max(best - 1, 1)
            best = larger if passes % (2 * ASIDE) else 0 if PLAUSIBLE * speed[0] > speed[best] else smaller
        return self.windows[best]
