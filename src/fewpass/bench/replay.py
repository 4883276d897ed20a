"""A decoder that commits as many tokens in each pass as a trace."""

from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from torch import Tensor

from fewpass.bench.traces import Counts
from fewpass.core.canvas import Canvas
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Query, SessionInfo, State
from fewpass.decoders.pjd import ParallelRows
from fewpass.decoders.zipar import ZipAR

OUT_OF_ORDER = "makes tokens final out of raster order, and so cannot follow a trace"


@dataclass(frozen=True)
class Replay(Decoder):
    """`inner` with all its work, for a model with random weights, but with the numbers of tokens of a trace.

    The image with the seed s follows trace s modulo their number. For an image of another size, a pass commits as many
    tokens as the trace did at the same share of its tokens, and at most the window.
    """

    inner: Decoder
    traces: tuple[Counts, ...]
    won: tuple[tuple[int, ...], ...] = ()  # [trace][final tokens]: tokens that a pass commits

    def bind(self, info: SessionInfo) -> Self:
        inner, size = self.inner.bind(info), info.grid.size
        return replace(self, inner=inner, won=tuple(stretched(counts, size) for counts in self.traces))

    @property
    def margin(self) -> int:
        return self.inner.margin

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        won = torch.tensor(self.won, device=p.device).clamp(max=self.margin)
        return *self.inner.begin(canvas, p, noise), won[noise.seeds % len(won)]

    def draft(self, canvas: Canvas, state: State) -> Query:
        return self.inner.draft(canvas, state[:-1])

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        *inner, won = state
        followed = cast(Canvas, _Followed(canvas, won))
        return *self.inner.verify(followed, tuple(inner), p, noise), won


class _Followed:
    """A canvas that commits `won` [B, N] tokens instead of those accepted."""

    def __init__(self, canvas: Canvas, won: Tensor):
        self._canvas, self._won = canvas, won

    def __getattr__(self, name: str) -> Any:
        return getattr(self._canvas, name)

    def settle(self, index: Tensor, final: Tensor) -> None:
        raise ValueError(f"a decoder of this kind {OUT_OF_ORDER}")

    def commit(self, n: Tensor | int) -> None:
        final = self._canvas.length[:, None].clamp(max=self._won.shape[1] - 1)
        self._canvas.commit(self._won.gather(1, final)[:, 0])


def stretched(counts: Counts, size: int) -> tuple[int, ...]:
    """The tokens that a pass commits of an image of `size` tokens when 0, 1, ... of them are final."""
    each = [count for count in counts for _ in range(count)]  # the count of each token's pass
    return tuple(each[final * len(each) // size] for final in range(size))


def check(decoder: Decoder) -> None:
    """Raise ValueError for a decoder that cannot follow a trace."""
    if isinstance(decoder, ParallelRows | ZipAR):
        raise ValueError(f"{decoder} {OUT_OF_ORDER}")


def replayed(decoder: Decoder, traces: tuple[Counts, ...]) -> Decoder:
    """The decoder with the numbers of tokens of `traces`; `ar` needs none."""
    if decoder.margin == 1:
        return decoder
    return Replay(decoder, traces, made_by=decoder.made_by, options=decoder.options)
