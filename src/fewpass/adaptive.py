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

WINDOWS = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
HALF = 6.0  # drafts that win half of what drafts can win: a first guess, not measured yet
FIRST = 4.0  # tokens a pass would win with a window without end, before anything is known
MEMORY = 0.9  # of what earlier passes won
PROBE = 24  # while drafts do not pay, every so many passes a few are asked about all the same

_known: WeakKeyDictionary[object, dict[tuple[int, ...], tuple[float, ...]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Adaptive(Decoder):
    """Asks in every pass about as many drafts of `chain` as promise the most tokens per second. Lossless.

    Under fixed noise the tokens are those of `ar`, whatever is asked about; so the window is free to follow the
    machine's speed, which differs from run to run. No other rule may be wrapped: there the window changes the image.

    What a pass costs is measured once for every network and batch, in a tenth of a second or two. What a window of w
    drafts wins is taken to be 1 + gain * w / (w + 6) tokens, the gain being estimated from the passes so far.
    """

    chain: Jacobi
    seconds: tuple[float, ...] = ()  # that a pass takes with each of WINDOWS

    def prepared(self, session: Host) -> Self:
        chain = self.chain.prepared(session)
        if isinstance(session, Prospect):  # there is nothing yet whose passes could be timed
            return replace(self, chain=chain)
        return replace(self, chain=chain, seconds=self.seconds or costs(session, self._windows))

    @property
    def margin(self) -> int:
        return self.chain.margin

    @property
    def _windows(self) -> tuple[int, ...]:
        return (*tuple(w for w in WINDOWS if w < self.chain.window), self.chain.window)

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        history = torch.stack([torch.full((len(p),), FIRST - 1), torch.zeros(len(p))], 1)
        return *self.chain.begin(canvas, p, noise), history.to(p.device)

    def draft(self, canvas: Canvas, state: State) -> Query:
        index = canvas.ahead(min(self.window(state), self.chain.drafts(canvas)) + 1, start=-1)
        return Query(canvas.read(index), index)

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        ring, history = state
        y, kept = self.chain.judge(canvas, (ring,), p, noise)
        n = 1 + kept.long().cumprod(1).sum(1)
        w = p.shape[1] - 1
        gain, passes = history.unbind(1)
        if w:
            gain = MEMORY * gain + (1 - MEMORY) * (n - 1) * (w + HALF) / w
        return *self.chain.move(canvas, (ring,), y, p, n, noise), torch.stack([gain, passes + 1], 1)

    def window(self, state: State) -> int:
        """How many drafts to ask about next."""
        gain, passes = state[-1].mean(0).tolist()
        speed = [(1 + gain * w / (w + HALF)) / s for w, s in zip(self._windows, self.seconds, strict=True)]
        best = self._windows[max(range(len(speed)), key=speed.__getitem__)]
        return best or (4 if passes % PROBE >= PROBE - 1 else 0)


def costs(session: Any, windows: Sequence[int]) -> tuple[float, ...]:
    """Seconds of a pass with each of `windows`, on this session or another one of the same network and size."""
    first = session.first
    known = _known.setdefault(getattr(session, "network", None) or session, {})
    key = (len(first), *windows)
    if key not in known:
        known[key] = _measured(session, windows)
    return known[key]


def _measured(session: Any, windows: Sequence[int], rounds: int = 3) -> tuple[float, ...]:
    """What these passes write is written over before anything may see it: they are about positions still to come."""
    times: dict[int, list[float]] = {w: [] for w in windows}
    index = torch.arange(max(windows) + 1, device=session.first.device).expand(len(session.first), -1)
    for turn in range(rounds + 1):
        for w in windows:
            query = Query(torch.zeros_like(index[:, : w + 1]), index[:, : w + 1].clamp(max=session.grid.size))
            started = time.perf_counter()
            float(session(query)[0, 0, 0])  # reading a number waits for the device
            if turn:  # the first is for warming up
                times[w].append(time.perf_counter() - started)
    fastest = [min(times[w]) for w in windows]
    return tuple(max(fastest[: i + 1]) for i in range(len(fastest)))  # more positions are never cheaper
