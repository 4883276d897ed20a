"""Traces of drawings, and a decoder that commits as many tokens in each pass as a trace.

A trace is the list of the passes at which the tokens of an image became final: `[1, 2, 2, 3]`.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self, cast

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Query, SessionInfo, State
from fewpass.decoders.pjd import ParallelRows
from fewpass.decoders.recipes import decoder as decoder_of
from fewpass.decoders.zipar import ZipAR
from fewpass.io.atomic import located
from fewpass.io.png_metadata import read_settings
from fewpass.pipeline import Pipeline

Trace = tuple[int, ...]
Traces = Mapping[str, Sequence[Trace]]  # by the spelling of the decoder


@dataclass(frozen=True)
class Replay(Decoder):
    """`inner` with all its work, for a model with random weights, but with the numbers of tokens of a trace.

    The image with the seed s follows trace s modulo their number. For an image of another size, a pass commits as many
    tokens as the trace did at the same share of its tokens, and at most the window.
    """

    inner: Decoder
    traces: tuple[Trace, ...]

    def bind(self, info: SessionInfo) -> Self:
        """Bind `inner`."""
        return replace(self, inner=self.inner.bind(info))

    @property
    def margin(self) -> int:
        """As `inner`."""
        return self.inner.margin

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        """As `inner`; the state ends with the tokens that a pass commits when 0, 1, ... are final [B, N]."""
        commits = [stretched(trace, canvas.grid.size) for trace in self.traces]
        table = torch.tensor(commits, device=p.device).clamp(max=self.margin)
        return *self.inner.begin(canvas, p, noise), table[noise.seeds % len(table)]

    def draft(self, canvas: Canvas, state: State) -> Query:
        """As `inner`."""
        return self.inner.draft(canvas, state[:-1])

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        """As `inner`, with the trace's number of tokens."""
        *inner, commits = state
        followed = cast(Canvas, _Followed(canvas, commits))
        return *self.inner.verify(followed, tuple(inner), p, noise), commits


class _Followed:
    """A canvas that commits as many tokens as `commits` [B, N] holds instead of those accepted."""

    def __init__(self, canvas: Canvas, commits: Tensor):
        self._canvas, self._commits = canvas, commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._canvas, name)

    def commit(self, n: Tensor | int) -> None:
        """Commit the trace's number of tokens, not `n`."""
        final = self._canvas.length[:, None].clamp(max=self._commits.shape[1] - 1)
        self._canvas.commit(self._commits.gather(1, final)[:, 0])


def stretched(trace: Trace, size: int) -> list[int]:
    """The tokens that a pass commits of an image of `size` tokens when 0, 1, ... of them are final."""
    commits = Counter(trace)
    return [commits[trace[final * len(trace) // size]] for final in range(size)]


def replayed(decoder: Decoder, traces: Sequence[Trace]) -> Decoder:
    """The decoder with the numbers of tokens of `traces`; `ar` needs none.

    Raises ValueError for a decoder that cannot follow a trace.
    """
    if isinstance(decoder, ParallelRows | ZipAR):
        raise ValueError(f"{decoder} makes tokens final out of raster order, and so cannot follow a trace")
    if decoder.margin == 1:
        return decoder
    return Replay(decoder, tuple(traces), made_by=decoder.made_by, options=decoder.options)


def recorded(pipe: Pipeline, decoders: Sequence[Decoder], prompts: Sequence[str]) -> Traces:
    """The traces of these prompts with the seeds 0, 1, ..., for each decoder with drafts."""
    drafting = [decoder for decoder in decoders if decoder.margin > 1]
    drawn = {
        str(decoder): pipe(list(prompts), decoder=decoder, seed=0).trace.committed.tolist() for decoder in drafting
    }
    return {name: [tuple(trace) for trace in traces] for name, traces in drawn.items()}


def read_traces(files: Sequence[str]) -> Traces:
    """Read the traces in images drawn by fewpass, in sheets of `fewpass compare`, and in JSON with such records.

    Drawings that were stopped, or left the raster order, are skipped. Raises ValueError naming a file without others.
    """
    found = defaultdict[str, list[Trace]](list)
    for file in files:
        traces = list(_traces(_content(file)))
        if not traces:
            raise ValueError(
                f"there is no trace in {file!r}: no decoder with the list 'committed' of a finished drawing in raster"
                " order"
            )
        for spelling, trace in traces:
            try:
                found[str(decoder_of(spelling))].append(trace)
            except ValueError as error:
                raise ValueError(f"{file}: {error}") from None
    return found


def check_traces(traces: Traces, decoders: Sequence[Decoder]) -> None:
    """Raise ValueError for a decoder with drafts that has no trace."""
    for decoder in decoders:
        if decoder.margin > 1 and str(decoder) not in traces:
            raise ValueError(f"there is no trace of {decoder}; there are traces of {', '.join(traces)}")


def _content(file: str) -> Any:
    path = located(file)
    if path.suffix.lower() == ".png":
        return read_settings(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {file!r}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ValueError(f"{file!r} is neither a .png file nor JSON") from None


def _traces(content: Any) -> Iterator[tuple[str, Trace]]:
    """Decoders and traces of an image, a sheet, a benchmark, or a list of records."""
    match content:
        case {"compared": list(records)} | {"traces": list(records)} | list(records):
            pass
        case _:
            records = [content]
    for record in records:
        match record:
            case {"decoder": str(decoder), "trace": {"committed": [1, *_] as committed}}:
                if all(type(a) is int and b in (a, a + 1) for a, b in pairwise([*committed, committed[-1]])):
                    yield decoder, tuple(committed)
