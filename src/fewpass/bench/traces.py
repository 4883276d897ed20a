"""Traces, the numbers of tokens that the passes of a drawing committed: recorded, or read from files."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fewpass.core.protocol import Decoder
from fewpass.decoders.recipes import decoder as decoder_of
from fewpass.io.atomic import located
from fewpass.io.png_metadata import read_settings
from fewpass.pipeline import Pipeline
from fewpass.viz.progress import Step

Counts = tuple[int, ...]  # tokens committed in the passes 1, 2, ...
Traces = Mapping[str, tuple[Counts, ...]]  # by the spelling of the decoder
Found = Mapping[str, Sequence[tuple[str, list[int]]]]  # the same, unchecked: (file, list)
PICTURES = (".png",)


def counts_of(committed: Sequence[int], where: str) -> Counts:
    """The counts of `committed`, the pass at which each token became final.

    Raises ValueError if the drawing stopped before its end, or left the raster order.
    """
    order = list(committed)
    if not order or not all(isinstance(number, int) for number in order):
        raise ValueError(f"{where}: a trace is the list of the passes at which tokens became final")
    if min(order) < 1:
        raise ValueError(f"{where}: the drawing was stopped before its end, so its trace cannot be followed")
    if order != sorted(order):
        raise ValueError(f"{where}: tokens became final out of raster order, and such a trace cannot be followed")
    counts = tuple(order.count(number) for number in range(1, order[-1] + 1))
    if counts[0] != 1 or 0 in counts:
        raise ValueError(f"{where}: this is no trace: pass 1 makes one token final, every other one at least one")
    return counts


def recorded(pipe: Pipeline, decoder: Decoder, prompt: str, seed: int) -> Counts:
    """Draw an image, and return its trace."""
    return counts_of(pipe(prompt, decoder=decoder, seed=seed).trace.committed[0].tolist(), str(decoder))


class Recording:
    """Traces of the bundled model, one for each decoder and prompt, for shapes without weights."""

    def __init__(self, pipe: Pipeline, decoders: Sequence[Decoder], prompts: Sequence[str]):
        self.pipe, self.prompts = pipe, prompts
        self.drafting = [decoder for decoder in decoders if decoder.margin > 1]
        self._found: dict[str, list[Counts]] = defaultdict(list)

    def steps(self) -> Iterator[Step]:
        for number in range(len(self.prompts)):
            for decoder in self.drafting:
                yield Step(f"{decoder} on the bundled model", 1, self._draw(decoder, number))

    @property
    def traces(self) -> Traces:
        return {name: tuple(counts) for name, counts in self._found.items()}

    def _draw(self, decoder: Decoder, number: int) -> Callable[[], None]:
        return lambda: self._found[str(decoder)].append(recorded(self.pipe, decoder, self.prompts[number], number))


def read_traces(files: Sequence[str]) -> Found:
    """Read the traces in images drawn by fewpass, in sheets of `fewpass compare`, and in JSON with such records.

    Raises ValueError naming a file without any.
    """
    found: dict[str, list[tuple[str, list[int]]]] = {}
    for file in files:
        try:
            records = list(_records(_content(file)))
        except RecursionError:
            raise ValueError(f"{file!r} is JSON of too many levels") from None
        if not records:
            raise ValueError(f"there is no trace in {file!r}: no decoder with the list 'committed'")
        for spelling, committed in records:
            try:
                chosen = str(decoder_of(spelling))
            except ValueError as error:
                raise ValueError(f"{file}: {error}") from None
            found.setdefault(chosen, []).append((file, committed))
    return found


def traces_of(found: Found, decoders: Sequence[Decoder]) -> Traces:
    """The traces of these decoders except `ar`. Raises ValueError for a decoder without a valid one."""
    traces = {}
    for decoder in decoders:
        if decoder.margin == 1:
            continue
        if str(decoder) not in found:
            raise ValueError(f"there is no trace of {decoder}; there are traces of {', '.join(found)}")
        traces[str(decoder)] = tuple(counts_of(order, f"{file}, {decoder}") for file, order in found[str(decoder)])
    return traces


def _content(file: str) -> Any:
    path = located(file)
    if path.suffix.lower() in PICTURES:
        return read_settings(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {file!r}: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{file!r} is neither a .png file nor JSON") from None


def _records(value: Any) -> Iterator[tuple[str, list[int]]]:
    """All pairs of a decoder and a trace, at any depth."""
    match value:
        case {"decoder": str(decoder), "trace": {"committed": list(committed)}}:
            yield decoder, committed
        case dict():
            for inner in value.values():
                yield from _records(inner)
        case list():
            for inner in value:
                yield from _records(inner)
