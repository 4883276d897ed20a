"""An evaluation: its settings, and the order in which its images are drawn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from fewpass.core.protocol import Decoder
from fewpass.engine.result import conditions as sampling_words
from fewpass.evaluation.benchmarks import Benchmark
from fewpass.evaluation.drawer import Drawer
from fewpass.evaluation.folder import Item, RunFolder
from fewpass.evaluation.images import DecoderImages
from fewpass.evaluation.instruments import Instruments
from fewpass.evaluation.summary import BASELINE
from fewpass.io.machine import fingerprint, machine, versions
from fewpass.viz.progress import Step

EXPECTED = 3.0  # tokens per pass of decoders with drafts, for the time left


def settings_of(drawer: Drawer, seed: int) -> dict[str, Any]:
    """The settings that a resumed run must share, so that its images and seconds are comparable."""
    model = drawer.pipe.model
    return {
        "model": model.name,
        "weights": fingerprint(model.model),
        "guidance": model.guidance,
        **asdict(model.sampling),
        **drawer.conditions.given,
        "seed": seed,
        "batch_size": drawer.batch_size,
        "device": str(model.device),
        "dtype": str(model.model.dtype).removeprefix("torch."),
        "machine": machine(model.device),
        "versions": versions(),
    }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run: its images, and the instruments that measure them."""

    folder: RunFolder
    settings: Mapping[str, Any]
    drawer: Drawer
    decoders: Sequence[Decoder]
    items: Sequence[Item]
    source: str  # of the prompts, in words
    instruments: Instruments
    benchmarks: Sequence[Benchmark]
    command: str
    skipped: Sequence[str]

    @property
    def baseline(self) -> Decoder | None:
        """`ar`, if it is drawn."""
        return next((decoder for decoder in self.decoders if str(decoder) == BASELINE), None)

    @property
    def counterparts(self) -> list[Item]:
        """The items that `ar` draws again with other seeds, for distances; none without features."""
        measured = self.baseline is not None and self.instruments.features is not None
        return [item.counterpart for item in self.items] if measured else []

    def steps(self) -> Iterator[Step]:
        """Draw a batch with all decoders before any draws the next, so that they share the machine's load."""
        size, counterparts = self.drawer.batch_size, self.counterparts
        for start in range(0, len(self.items), size):
            for decoder in self.decoders:
                yield self._step(f"image {start + 1}", decoder, self.items[start : start + size])
            if counterparts and self.baseline is not None:
                yield self._step(f"counterpart {start + 1}", self.baseline, counterparts[start : start + size])

    def _step(self, what: str, decoder: Decoder, batch: Sequence[Item]) -> Step:
        missing = sum(not self.folder.image(str(decoder), item).exists() for item in batch)
        draw = partial(self.drawer.draw, self.folder, decoder, batch)
        cost = missing / (1 if decoder.margin == 1 else EXPECTED)
        return Step(f"{what}, {decoder}", cost, draw)

    def read(self, decoder: Decoder, items: Sequence[Item]) -> DecoderImages:
        """The finished images of a decoder."""
        records = [record for item in items if (record := self.folder.record(str(decoder), item)) is not None]
        assert len(records) == len(items)
        return DecoderImages(self.folder, str(decoder), decoder.lossless, items, records)

    @property
    def conditions(self) -> str:
        """Prompts, sampling, batch, precision and machine in one sentence."""
        s, prompts = self.settings, len({item.number for item in self.items})
        batch = f"{s['batch_size']} images at a time" if s["batch_size"] > 1 else "one image at a time"
        words = [f"{prompts} {self.source}", sampling_words(s), batch, s["dtype"]]
        return f"{', '.join(words)}; {s['machine']}."
