"""Two-dimensional n-grams: drafts are looked up by their left and upper neighbours."""

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
BITS = 21  # of a key for each of position, left and above: two million of each
ENTRIES = 16  # of the table for each position of an image: some ten passes of answers


@dataclass(frozen=True)
class NGrams(Decoder):
    """Jacobi decoding under fixed noise with drafts from a pool of n-grams. Lossless.

    The answers of a pass are the model's tokens *if* the drafts before them are right. Jacobi decoding takes the
    answers behind a wrong draft as the next drafts, though they follow a wrong token. Here the pool keeps every answer
    with its left and upper neighbours, and each pass drafts the whole window anew, from left to right. A draft is the
    first that exists of: the answer at this position with these neighbours; the answer with these neighbours at any
    position; the newest answer at this position; the token above.

    Under fixed noise an accepted draft is the token of `ar`, so any draft may be tried. The pool is that of lookahead
    decoding, arXiv 2402.02057, in two dimensions; the noise that of arXiv 2002.09928. The decoder is the project's
    own, see docs/research-log.md.
    """

    window: int

    def __post_init__(self) -> None:
        whole("window", self.window, 0, MOST, of="drafts")

    @property
    def margin(self) -> int:
        return self.window + 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        entries = 1 << (ENTRIES * canvas.grid.size - 1).bit_length()
        keys = torch.zeros(len(p), entries, dtype=torch.long, device=p.device)
        return keys, torch.zeros_like(keys), canvas.length.clone()

    def draft(self, canvas: Canvas, state: State) -> Query:
        # Drafts may lie past the image: passes over fewer positions round otherwise (fewpass.runtime.cpu.llama).
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
    """A hash table of answers for each image: keys and tokens [B, entries], in NumPy.

    An entry holds the newest answer with its hash. A collision costs a draft, never a token.
    """

    keys: np.ndarray
    tokens: np.ndarray

    @classmethod
    def of(cls, state: State) -> Self:
        return cls(*(part.cpu().numpy() for part in state[:2]))

    def state(self, device: torch.device) -> tuple[Tensor, Tensor]:
        return torch.as_tensor(self.keys, device=device), torch.as_tensor(self.tokens, device=device)

    def learn(self, canvas: Canvas, index: Tensor, y: Tensor) -> None:
        """Store the answers y [B, n] at the positions `index` [B, n] with their neighbours on the canvas."""
        near = Neighbours.of(canvas.grid, index)
        keys = near.keys(canvas.tokens.cpu().numpy(), slice(None))  # [2, B, n]
        keys[:, near.at >= canvas.grid.size] = 0
        image = np.arange(len(index))[:, None]
        for level in keys[..., ::-1]:  # the leftmost answers are the most certain; they come last and stay
            entry = self._entry(level)
            self.keys[image, entry], self.tokens[image, entry] = level, y.cpu().numpy()[:, ::-1]

    def draft(self, canvas: Canvas, W: int, reached: Tensor) -> None:
        """Write drafts at the next W positions of the canvas. Positions from `reached` [B] on have no answer yet."""
        index = canvas.ahead(W)
        near, tokens = Neighbours.of(canvas.grid, index), canvas.tokens.cpu().numpy()
        image, due = np.arange(len(index)), canvas.grid.due(index).cpu().numpy()
        answered = near.at < reached.cpu().numpy()[:, None]
        for i in range(W):
            keys = near.keys(tokens, i)  # [2, B]
            entry = self._entry(keys)
            there, anywhere = self.keys[image, entry] == keys
            said, likely = self.tokens[image, entry]
            old = tokens[image, np.where(answered[:, i], near.at[:, i], near.copied[:, i])]
            x = np.where(there, said, np.where(anywhere, likely, old))
            tokens[image, near.at[:, i]] = np.where(due[:, i] < 0, x, due[:, i])
        canvas.write(index, torch.as_tensor(tokens, device=index.device).gather(1, index))

    def _entry(self, keys: np.ndarray) -> np.ndarray:
        return mix(keys) & (self.keys.shape[1] - 1)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Positions `at` [B, n] and those of their neighbours `left` and `above`, -1 at the edge of the grid.

    `copied` is the neighbour to repeat in place of an unknown answer: the one above, in the first row the left one.
    """

    at: np.ndarray
    left: np.ndarray
    above: np.ndarray
    copied: np.ndarray

    @classmethod
    def of(cls, grid: Grid, index: Tensor) -> Self:
        at, into, width = (x.cpu().numpy() for x in (index, *grid.locate(index)))
        left, above = np.where(into % width, at - 1, -1), np.where(into >= width, at - width, -1)
        return cls(at, left, above, np.where(above < 0, at - 1, above))

    def keys(self, tokens: np.ndarray, which: int | slice) -> np.ndarray:
        """Keys with the position and without it: [2, B, ...], never 0."""
        image = np.arange(len(tokens)).reshape(-1, *[1] * (self.at[:, which].ndim - 1))
        left, above = (
            np.where(where < 0, 0, tokens[image, where] + 1) for where in (self.left[:, which], self.above[:, which])
        )
        beside, here = (left << BITS) + above, self.at[:, which] + 2
        return np.stack([beside + (here << 2 * BITS), beside + (1 << 2 * BITS)])
