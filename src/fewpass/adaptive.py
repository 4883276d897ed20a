"""A window that follows what a pass costs on this machine, and how many drafts stand."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fewpass.canvas import Canvas
from fewpass.decoders import Decoder, Jacobi, Query, State
from fewpass.needs import Host, Prospect
from fewpass.noise import Noise
from fewpass.recall import Recall

WINDOWS = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
HALF = 13.0  # drafts that win half of what drafts can win; fitted in docs/research-log.md
FIRST = 4.0  # tokens a pass would win with a window without end, before anything is known
MEMORY = 0.9  # of what earlier passes won
PROBE = 24  # while drafts do not pay, every so many passes a few are asked about all the same
PATIENCE = 0.5  # seconds that measuring may go on for, once every window has been measured

_known: WeakKeyDictionary[object, dict[tuple[int, ...], tuple[float, ...]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Adaptive(Decoder):
    """Asks in every pass about as many drafts of `recall` as promise the most tokens per second. Lossless.

    Under fixed noise the tokens are those of `ar`, whatever is asked about; so the window is free to follow the
    machine's speed, which differs from run to run. No other rule may be wrapped: there the window changes the image.

    What a pass costs is measured once for every network and batch, in a second or two. What a window of w drafts wins
    is taken to be 1 + gain * w / (w + HALF) tokens, the gain being estimated from the passes so far.
    """

    recall: Recall
    seconds: tuple[float, ...] = ()  # that a pass takes with each of WINDOWS

    def prepared(self, session: Host) -> Self:
        recall = self.recall.prepared(session)
        if isinstance(session, Prospect):  # there is nothing yet whose passes could be timed
            return replace(self, recall=recall)
        seconds = self.seconds or costs(session, [self._fed(w) for w in self._windows])
        return replace(self, recall=recall, seconds=seconds)

    @property
    def margin(self) -> int:
        return self.recall.margin

    @property
    def _windows(self) -> tuple[int, ...]:
        largest = self.recall.chain.window
        return (*tuple(w for w in WINDOWS if w < largest), largest)

    def _fed(self, window: int) -> int:
        """Tokens of a pass."""
        return 1 + window + min(self.recall.depth, window) * self.recall.width

    def _asked(self, fed: int) -> int:
        """The window of a pass over so many tokens."""
        return next((w for w in range(self.recall.chain.window + 1) if self._fed(w) == fed), 0)

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        history = torch.tensor([[FIRST - 1, 0]], dtype=torch.float32, device=p.device).repeat(len(p), 1)
        return *self.recall.begin(canvas, p, noise), history

    def draft(self, canvas: Canvas, state: State) -> Query:
        if w := self._choice(canvas, state[-1]):
            return self.recall.ask(canvas, state[:-1], w)
        index = canvas.ahead(self.recall.again(state) + 1, start=-self.recall.again(state) - 1).clamp(min=0)
        return Query(canvas.read(index), index)

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        recalled, (gain, passes) = state[:-1], state[-1].unbind(1)
        if w := self._asked(p.shape[1] - self.recall.again(state)):
            recalled, n = self.recall.settle(canvas, recalled, p, w, noise)
            gain = MEMORY * gain + (1 - MEMORY) * (n - 1) * (w + HALF) / w
        else:
            ring, memory, won, _ = recalled
            (ring,) = self._alone.verify(canvas, (ring,), p[:, -1:], noise)
            recalled = ring, memory, torch.zeros_like(won), self.recall.candidates(canvas, memory)
        return *recalled, torch.stack([gain, passes + 1], 1)

    @property
    def _alone(self) -> Jacobi:
        return replace(self.recall.chain, window=0)

    def _choice(self, canvas: Canvas, history: Tensor) -> int:
        """How many drafts to ask about next: all, as long as it is not known what they cost."""
        if not self.seconds:
            return self.recall.chain.drafts(canvas)
        gain, passes = history.mean(0).tolist()
        speed = [(1 + gain * w / (w + HALF)) / s for w, s in zip(self._windows, self.seconds, strict=True)]
        best = self._windows[max(range(len(speed)), key=speed.__getitem__)]
        if not best and passes % PROBE >= PROBE - 1:
            best = 4
        return min(best, self.recall.chain.drafts(canvas))


def costs(session: Any, fed: Sequence[int]) -> tuple[float, ...]:
    """Seconds of a pass over each of `fed` tokens, on this session or another one of the same network and size."""
    owner = session.network.body if hasattr(session, "network") else session  # a network may be made for each layout
    known = _known.setdefault(owner, {})
    key = (len(session.first), *fed)
    if key not in known:
        known[key] = _measured(session, fed)
    return known[key]


def _measured(session: Any, fed: Sequence[int]) -> tuple[float, ...]:
    """What these passes write is written over before anything may see it: they are about positions still to come."""
    index = torch.arange(max(fed), device=session.first.device).expand(len(session.first), -1)
    index = index.clamp(max=session.grid.size)
    fastest = [float("inf")] * len(fed)
    started, rounds = time.perf_counter(), 0
    while rounds < 2 or (rounds < 5 and time.perf_counter() - started < PATIENCE):  # the first is for warming up
        for i, n in enumerate(fed):
            before = time.perf_counter()
            float(session(Query(torch.zeros_like(index[:, :n]), index[:, :n]))[0, 0, 0])  # waits for the device
            fastest[i] = min(fastest[i], time.perf_counter() - before)
        rounds += 1
    return tuple(max(fastest[: i + 1]) for i in range(len(fastest)))  # more positions are never cheaper
