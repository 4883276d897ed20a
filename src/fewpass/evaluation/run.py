"""An evaluation, from its settings to its report."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from fewpass.core.canvas import Grid
from fewpass.core.protocol import Decoder
from fewpass.engine.options import GenerationOptions
from fewpass.evaluation.benchmarks import Benchmark
from fewpass.evaluation.folder import Item, RunFolder, remarks
from fewpass.evaluation.images import DecoderImages
from fewpass.evaluation.joint_law import LawRow
from fewpass.evaluation.metrics import ClipScorer, are_scenes, inception_features, scene_features
from fewpass.evaluation.report import Report
from fewpass.evaluation.summary import BASELINE, Instruments, Summary, markdown, summarise
from fewpass.io.machine import fingerprint, machine, versions
from fewpass.pipeline import Pipeline
from fewpass.runtime.device import chosen_dtype


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


def instruments_of(items: Sequence[Item], tools: Tools) -> tuple[Instruments, dict[str, str], list[str]]:
    """The metrics for these prompts, their names, and notes on the missing ones."""
    scenes, skipped = are_scenes(items), []
    features, clip, reference = scene_features() if scenes else None, None, None
    if not scenes:
        skipped.append("Scene score: the scorer reads prompts of the bundled model only.")
        try:
            features = inception_features(tools.inception)
        except ValueError as error:
            skipped.append(f"FID, and diversity in features: {error}.")
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
        reference = features.of(tools.real_images())
    names = {} if features is None else {"features": features.name}
    names |= {} if clip is None else {"clip": clip.name}
    return Instruments(scenes, features, not few, reference, clip), names, skipped


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run with all its images drawn."""

    folder: RunFolder
    settings: Mapping[str, Any]
    grid: Grid
    decoders: Sequence[Decoder]
    items: Sequence[Item]
    source: str  # of the prompts, in words
    tools: Tools
    benchmarks: Sequence[Benchmark]
    law: Sequence[LawRow]
    law_images: int
    command: str
    skipped: Sequence[str]

    def conclude(self) -> tuple[list[Summary], list[str]]:
        """Measure, and write `report.html`, `figures/`, `table.md`, `results.json` and the benchmarks' folders.

        Returns the summaries, and an error for each figure that could not be drawn, which the report holds too.
        """
        everything = [DecoderImages.read(self.folder, str(d), d.lossless, self.items) for d in self.decoders]
        instruments, names, skipped = instruments_of(self.items, self.tools)
        summaries = summarise(everything, instruments)
        if all(d.decoder != BASELINE for d in everything):
            skipped.append("Differences and FID to ar: ar was not among the decoders.")
        if not any(d.pairs for d in everything):
            skipped.append("Diversity: no prompt was drawn twice (--pairs, --count).")
        report = Report(
            f"{self.settings['model']}: {len(everything)} decoders",
            self.conditions,
            self.grid,
            everything,
            summaries,
            self.law,
            self.law_images,
            [benchmark.export(images) for benchmark in self.benchmarks for images in everything],
            names,
            {**self.settings, "prompts": self.source, "images": f"{len(self.items)} of every decoder"},
            self.command,
            [*self.skipped, *skipped],
            remarks([item.row for item in self.items if item.round == 0]),
        )
        figures, failed = report.figures()
        report = replace(report, skipped=[*report.skipped, *failed])
        for name, data in figures.items():
            self.folder.write(f"figures/{name}.png", data)
        self.folder.write("table.md", markdown(summaries, self.conditions))
        self.folder.write("results.json", json.dumps(_results(report), indent=1))
        self.folder.write("report.html", report.html(figures))
        return summaries, failed

    @property
    def conditions(self) -> str:
        """Prompts, sampling, batch, precision and machine in one sentence."""
        s, prompts = self.settings, len({item.number for item in self.items})
        words = [f"{prompts} {self.source}", f"guidance {s['guidance']:g}", f"temperature {s['temperature']:g}"]
        words += [f"top-k {s['top_k']}"] if s["top_k"] else []
        words += [f"top-p {s['top_p']:g}"] if s["top_p"] < 1 else []
        words += [f"min-p {s['min_p']:g}"] if s["min_p"] else []
        words += [f"{s['batch_size']} images at a time" if s["batch_size"] > 1 else "one image at a time", s["dtype"]]
        return f"{', '.join(words)}; {s['machine']}."


def _results(report: Report) -> dict[str, Any]:
    """All figures as JSON; unknown ones are null."""
    decoders = [asdict(s) | {"right": None if s.right is None else s.right.tolist()} for s in report.summaries]
    return _plain(
        {
            "settings": dict(report.settings),
            "command": report.command,
            "decoders": decoders,
            "law": {"images": report.law_images, "rows": [row.to_json() for row in report.law]},
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
