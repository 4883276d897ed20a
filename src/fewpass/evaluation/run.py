"""An evaluation: its settings, the drawing of its images, and their order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from fewpass.core.canvas import Canvas
from fewpass.core.protocol import Decoder
from fewpass.engine.log_likelihood import Reading, read
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind
from fewpass.engine.result import Result, record
from fewpass.engine.result import conditions as sampling_words
from fewpass.engine.trace import expected
from fewpass.evaluation.benchmarks import Benchmark
from fewpass.evaluation.folder import DecoderImages, Item, RunFolder
from fewpass.evaluation.instruments import Instruments
from fewpass.evaluation.summary import BASELINE
from fewpass.io.atomic import replace
from fewpass.io.machine import fingerprint, machine, versions
from fewpass.io.png_metadata import png
from fewpass.io.prompt_rows import Row
from fewpass.pipeline import Pipeline
from fewpass.viz.progress import Step

WARM_UP = 4  # tokens


class Drawer:
    """Draws items with one model and one set of options, `batch_size` in a batch."""

    def __init__(self, pipe: Pipeline, conditions: GenerationOptions, batch_size: int):
        self.pipe, self.conditions, self.batch_size = pipe, conditions, batch_size
        self.bound = bind(pipe.model, conditions)

    @torch.inference_mode()
    def check(self, rows: Sequence[Row]) -> None:
        """Raise ValueError naming the first prompt that the model cannot read."""
        for row in rows:
            try:
                self.bound.job(row.prompt, 0)
            except ValueError as error:
                raise ValueError(f"{row.place}: {error}") from None

    def warm_up(self, decoders: Sequence[Decoder], items: Sequence[Item]) -> None:
        """Begin the first batch with each decoder: the first passes of a process are slow."""
        for decoder in decoders:
            self._draw(items[: self.batch_size], decoder, lambda canvas: max(canvas.lengths) < WARM_UP)

    def draw(self, folder: RunFolder, decoder: Decoder, items: Sequence[Item]) -> None:
        """Draw the items that are not in the folder yet in one batch."""
        items = [item for item in items if folder.record(str(decoder), item) is None]
        if not items:
            return
        result = self._draw(items, decoder)
        reading = self._read(result)
        for i, item in enumerate(items):
            path = folder.image(str(decoder), item)
            path.parent.mkdir(parents=True, exist_ok=True)
            about = record(result, i) | _token_record(result, reading, i)
            replace(path, png(result.images[i], about))

    def _draw(
        self, items: Sequence[Item], decoder: Decoder, on_step: Callable[[Canvas], object] | None = None
    ) -> Result:
        given = self.conditions.given | {"seed": [item.seed for item in items], "decoder": decoder}
        return self.pipe([item.row.prompt for item in items], on_step=on_step, **given)

    @torch.inference_mode()
    def _read(self, result: Result) -> Reading:
        """Log-probabilities and entropies of the tokens under p, from one more reading of the images."""
        bound, prompts = self.bound, [settings["prompt"] for settings in result.settings]
        session = bound.model.open(prompts, bound.grid, bound.guidance, [bound.negative_prompt] * len(prompts))
        return read(session, bound.sampling, result.tokens)


def _token_record(result: Result, reading: Reading, image: int) -> dict[str, list]:
    """The tokens of an image, their log-probabilities and entropies; null for a forbidden token, which has -inf."""
    logprobs = [None if value == -torch.inf else round(value, 5) for value in reading.logprobs[image].tolist()]
    entropy = [round(value, 5) for value in reading.entropy[image].tolist()]
    return {"tokens": result.tokens[image].tolist(), "logprobs": logprobs, "entropy": entropy}


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
        return Step(f"{what}, {decoder}", missing / expected(decoder), draw)

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
