"""Traces of the bundled model, for shapes whose own weights are not at hand."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from fewpass.bench.traces import Counts, Traces, recorded
from fewpass.core.protocol import Decoder
from fewpass.pipeline import Pipeline
from fewpass.viz.progress import Step


class Recording:
    """One trace of each decoder for each of `prompts`."""

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
