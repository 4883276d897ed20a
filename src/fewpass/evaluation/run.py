"""An evaluation, from its settings to its report."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from fewpass.core.protocol import Decoder
from fewpass.engine.options import GenerationOptions
from fewpass.engine.result import conditions as sampling_words
from fewpass.evaluation import figures
from fewpass.evaluation.benchmarks import Benchmark
from fewpass.evaluation.drawer import Drawer, Trial
from fewpass.evaluation.folder import Item, RunFolder
from fewpass.evaluation.images import DecoderImages
from fewpass.evaluation.metrics import ClipScorer, are_scenes, features_for
from fewpass.evaluation.report import Report
from fewpass.evaluation.summary import BASELINE, Instruments, Summary, markdown, summarise
from fewpass.io.machine import fingerprint, machine, versions
from fewpass.pipeline import Pipeline
from fewpass.runtime.device import chosen_dtype
from fewpass.viz.progress import Step


def settings_of(
    pipe: Pipeline, dtype: str | None, conditions: GenerationOptions, seed: int, batch_size: int
) -> dict[str, Any]:
    """The settings that a resumed run must share, so that its images and seconds are comparable."""
    model, given = pipe.model, conditions.given
    own = {"guidance": model.guidance, **asdict(model.sampling)}
    return {
        "model": model.name,
        "weights": fingerprint(model.model),
        **own,
        **given,
        "seed": seed,
        "batch_size": batch_size,
        "device": str(model.device),
        "dtype": str(chosen_dtype(dtype, model.device)).removeprefix("torch."),
        "machine": machine(model.device),
        "versions": versions(),
    }


@dataclass(frozen=True)
class Tools:
    """Sources of metrics: a CLIP model, Inception weights, a folder of real images."""

    clip: str
    inception: Path
    reference: Path | None = None

    def real_images(self) -> Iterator[Image.Image]:
        """The images of the folder. Raises ValueError if there are fewer than 2."""
        found = 0
        for path in sorted(self.reference.iterdir()) if self.reference is not None else []:
            try:
                with Image.open(path) as image:
                    yield image.convert("RGB")
                    found += 1
            except (UnidentifiedImageError, IsADirectoryError):
                continue
        if found < 2:
            raise ValueError(f"{str(self.reference)!r} holds {found} images; FID needs at least 2")


def instruments_of(model: str, items: Sequence[Item], tools: Tools) -> tuple[Instruments, list[str]]:
    """The metrics for images of these prompts by a model, and notes on the missing ones."""
    scenes, skipped = are_scenes(items), list[str]()
    features, clip, real = None, None, None
    try:
        features = features_for(model, tools.inception)
    except ValueError as error:
        skipped.append(f"KID, FID, and diversity in features: {error}.")
    if not scenes:
        skipped.append("Scene score: the scorer reads prompts of the model emoji only.")
        try:
            clip = ClipScorer(tools.clip)
        except ValueError as error:
            skipped.append(f"CLIP score: {error}.")
    few = features is not None and len(items) < features.width
    if few and features is not None:
        skipped.append(
            f"FID: {len(items)} images of a decoder are fewer than the {features.width} features, so their covariance"
            " is singular and the figure means nothing."
        )
    elif tools.reference is not None and features is not None:
        real = features.of(tools.real_images())
    return Instruments(scenes, features, not few, real, clip), skipped


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run: its images, and the instruments that measure them."""

    folder: RunFolder
    settings: Mapping[str, Any]
    drawer: Drawer
    trials: Sequence[Trial]
    items: Sequence[Item]
    source: str  # of the prompts, in words
    instruments: Instruments
    benchmarks: Sequence[Benchmark]
    command: str
    skipped: Sequence[str]

    @property
    def baseline(self) -> Trial | None:
        """The trial of `ar`, if it is drawn."""
        return next((trial for trial in self.trials if str(trial.decoder) == BASELINE), None)

    @property
    def counterparts(self) -> list[Item]:
        """The items that `ar` draws again with other seeds, for distances; none without features."""
        measured = self.baseline is not None and self.instruments.features is not None
        return [item.counterpart for item in self.items] if measured else []

    def steps(self) -> Iterator[Step]:
        """Draw a batch with all decoders before any draws the next, so that they share the machine's load."""
        size, counterparts = self.drawer.batch_size, self.counterparts
        for start in range(0, len(self.items), size):
            for trial in self.trials:
                yield self._step(f"image {start + 1}", trial, self.items[start : start + size])
            if counterparts and self.baseline is not None:
                yield self._step(f"counterpart {start + 1}", self.baseline, counterparts[start : start + size])

    def _step(self, what: str, trial: Trial, batch: Sequence[Item]) -> Step:
        decoder = trial.decoder
        missing = sum(not self.folder.image(str(decoder), item).exists() for item in batch)
        draw = partial(self.drawer.draw, self.folder, decoder, batch)
        return Step(f"{what}, {decoder}", trial.seconds * missing / self.drawer.batch_size, draw, str(decoder))

    def conclude(self) -> tuple[list[Summary], list[str]]:
        """Measure, and write `report.html`, `figures/`, `table.md`, `results.json` and the benchmarks' folders.

        Returns the summaries, and an error for each figure that could not be drawn, which the report holds too.
        """
        everything = [self._read(trial.decoder, self.items) for trial in self.trials]
        apart = self._read(self.baseline.decoder, self.counterparts) if self.baseline and self.counterparts else None
        summaries = summarise(everything, self.instruments, apart)
        drawn, failed = figures.drawn(everything, summaries, self.drawer.bound.grid)
        features = self.instruments.features
        report = Report(
            f"{self.settings['model']}: {len(everything)} decoders",
            self.conditions,
            everything,
            summaries,
            [benchmark.export(images) for benchmark in self.benchmarks for images in everything],
            features.name if features else "",
            {**self.settings, "prompts": self.source, "images": f"{len(self.items)} of every decoder"},
            self.command,
            [*self.skipped, *self._missing(everything), *failed],
        )
        for name, data in drawn.items():
            self.folder.write(f"figures/{name}.png", data)
        self.folder.write("table.md", markdown(summaries, self.conditions))
        self.folder.write("results.json", json.dumps(_results(report), indent=1))
        self.folder.write("report.html", report.html(drawn))
        return summaries, failed

    def _read(self, decoder: Decoder, items: Sequence[Item]) -> DecoderImages:
        return DecoderImages.read(self.folder, str(decoder), decoder.lossless, items)

    def _missing(self, everything: Sequence[DecoderImages]) -> Iterator[str]:
        if self.baseline is None:
            yield "Differences, KID and FID to ar: ar was not among the decoders."
        if not any(d.pairs for d in everything):
            yield "Diversity: no prompt was drawn twice (--pairs, --count)."

    @property
    def conditions(self) -> str:
        """Prompts, sampling, batch, precision and machine in one sentence."""
        s, prompts = self.settings, len({item.number for item in self.items})
        batch = f"{s['batch_size']} images at a time" if s["batch_size"] > 1 else "one image at a time"
        words = [f"{prompts} {self.source}", sampling_words(s), batch, s["dtype"]]
        return f"{', '.join(words)}; {s['machine']}."


def _results(report: Report) -> dict[str, Any]:
    """All figures as JSON; unknown ones are null."""
    decoders = [asdict(s) | {"right": None if s.right is None else s.right.tolist()} for s in report.summaries]
    return _plain(
        {
            "settings": dict(report.settings),
            "command": report.command,
            "conditions": report.conditions,
            "features": report.features,
            "decoders": decoders,
            "left_out": list(report.skipped),
        }
    )


def _plain(value: Any) -> Any:
    """The value with None for NaN and infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
