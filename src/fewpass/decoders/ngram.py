"""Drafts that the drawing has taught: what came next beside the same neighbours, in this pass or an earlier one."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.checks import MOST, whole
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Query, State
from fewpass.core.splitmix import mix

LEAST = 2  # drafts of the last windows
BITS = 21  # of a key for each of position, left and above: room for two million of each
PLACES = 16  # in the table for each position of an image: some ten passes are remembered


@dataclass(frozen=True)
class NGrams(Decoder):
    """A window of drafts under fixed noise, each looked up by its position and its neighbours. Lossless.

    A pass answers, for every position of the window, what the model draws there *if* the drafts before it are right.
    When a draft turns out wrong, Jacobi decoding goes on with the answers as they are, though those to its right were
    given beside a wrong token: then one token is won at a time. Here every answer is remembered with the tokens to
    the left and above that it was given beside, and the window is drafted anew from left to right: at each position
    what was answered there beside the very neighbours it has now; else what was answered beside such neighbours
    anywhere; else the newest answer; and where there is none, the token above.

    Any draft may be tried, for under fixed noise what stands is the token of `ar`, whatever was asked. The pool of
    n-grams is that of lookahead decoding, arXiv 2402.02057, in two dimensions; the noise that of arXiv 2002.09928.
    This decoder is the project's own; docs/research-log.md tells how it came about.
    """

    window: int

    def __post_init__(self) -> None:
        whole("window", self.window, 0, MOST, of="drafts")

    @property
    def margin(self) -> int:
        return self.window + 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        places = 1 << (PLACES * canvas.grid.size - 1).bit_length()
        keys = torch.zeros(len(p), places, dtype=torch.long, device=p.device)
        return keys, torch.zeros_like(keys), canvas.length.clone()

    def draft(self, canvas: Canvas, state: State) -> Query:
        # Past the image, if need be: fewer positions are answered with another rounding (fewpass.runtime.cpu.llama).
        W = min(self.window, max(canvas.open, LEAST))
        if W:
            Pool.of(state).draft(canvas, W, state[2])
        index = canvas.ahead(W + 1, start=-1)
        return Query(canvas.read(index), index)

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        index = canvas.ahead(p.shape[1])
        x, y = canvas.read(index[:, :-1]), noise.gumbel_max(p, index)
        pool = Pool.of(state)
        pool.learn(canvas, index, y)
        canvas.write(index, y)
        reached = canvas.length + p.shape[1]
        canvas.commit(1 + (y[:, :-1] == x).long().cumprod(1).sum(1))
        return *pool.state(p.device), reached


@dataclass(frozen=True, eq=False)
class Pool:
    """What was answered beside which neighbours: a table of keys and tokens [B, places] for each image, in NumPy.

    A place holds the newest answer that falls on it. One that is lost costs a draft, never a token.
    """

    keys: np.ndarray
    tokens: np.ndarray

    @classmethod
    def of(cls, state: State) -> Self:
        return cls(*(part.cpu().numpy() for part in state[:2]))

    def state(self, device: torch.device) -> tuple[Tensor, Tensor]:
        return torch.as_tensor(self.keys, device=device), torch.as_tensor(self.tokens, device=device)

    def learn(self, canvas: Canvas, index: Tensor, y: Tensor) -> None:
        """Remember the answers y [B, n] about the positions `index` [B, n], beside what is on the canvas."""
        near = Neighbours.of(canvas.grid, index)
        keys = near.keys(canvas.tokens.cpu().numpy(), slice(None))  # [2, B, n]
        keys[:, near.at >= canvas.grid.size] = 0
        image = np.arange(len(index))[:, None]
        for level in keys[..., ::-1]:  # the leftmost answers, which are the surest, come last and stay
            place = self._place(level)
            self.keys[image, place], self.tokens[image, place] = level, y.cpu().numpy()[:, ::-1]

    def draft(self, canvas: Canvas, W: int, reached: Tensor) -> None:
        """Put drafts at the next W positions of the canvas. From `reached` [B] on there have been no answers yet."""
        index = canvas.ahead(W)
        near, tokens = Neighbours.of(canvas.grid, index), canvas.tokens.cpu().numpy()
        image, due = np.arange(len(index)), canvas.grid.due(index).cpu().numpy()
        answered = near.at < reached.cpu().numpy()[:, None]
        for i in range(W):
            keys = near.keys(tokens, i)  # [2, B]
            place = self._place(keys)
            there, anywhere = self.keys[image, place] == keys
            said, likely = self.tokens[image, place]
            old = tokens[image, np.where(answered[:, i], near.at[:, i], near.copied[:, i])]
            x = np.where(there, said, np.where(anywhere, likely, old))
            tokens[image, near.at[:, i]] = np.where(due[:, i] < 0, x, due[:, i])
        canvas.write(index, torch.as_tensor(tokens, device=index.device).gather(1, index))

    def _place(self, keys: np.ndarray) -> np.ndarray:
        return mix(keys) & (self.keys.shape[1] - 1)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The positions `at` [B, n], and where their neighbours are: `left` and `above`, -1 at the edge of the grid.

    `copied` is the neighbour to repeat where nothing is known: the one above, in the first row the one before.
    """

    at: np.ndarray
    left: np.ndarray
    above: np.ndarray
    copied: np.ndarray

    @classmethod
    def of(cls, grid: Grid, index: Tensor) -> Self:
        at, into, width = (x.cpu().numpy() for x in (index, *grid.place(index)))
        left, above = np.where(into % width, at - 1, -1), np.where(into >= width, at - width, -1)
        return cls(at, left, above, np.where(above < 0, at - 1, above))

    def keys(self, tokens: np.ndarray, which: int | slice) -> np.ndarray:
        """For each of these positions one key that holds there and one that holds anywhere: [2, B, ...], never 0."""
        image = np.arange(len(tokens)).reshape(-1, *[1] * (self.at[:, which].ndim - 1))
        left, above = (
            np.where(where < 0, 0, tokens[image, where] + 1) for where in (self.left[:, which], self.above[:, which])
        )
        beside, here = (left << BITS) + above, self.at[:, which] + 2
        return np.stack([beside + (here << 2 * BITS), beside + (1 << 2 * BITS)])
