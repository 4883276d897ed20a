"""The report: one HTML file that needs no network."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from fewpass.core.canvas import Grid
from fewpass.evaluation import summary as table
from fewpass.evaluation.benchmarks import Exported
from fewpass.evaluation.figures import gallery, scores, speed
from fewpass.evaluation.figures.frontier import frontier
from fewpass.evaluation.images import DecoderImages
from fewpass.evaluation.joint_law import LawRow
from fewpass.evaluation.summary import BASELINE, Summary
from fewpass.io.extra import needed
from fewpass.models.weights import one_line
from fewpass.viz.style import look, png

SHOWN = 8  # prompts in the gallery
THUMBNAIL = 192  # pixels


@dataclass(frozen=True, eq=False)
class Report:
    """The contents of the file. `skipped` lists parts left out, with reasons."""

    title: str
    conditions: str
    grid: Grid
    images: Sequence[DecoderImages]
    summaries: Sequence[Summary]
    law: Sequence[LawRow]
    law_images: int
    exported: Sequence[Exported]
    instruments: Mapping[str, str]
    settings: Mapping[str, Any]
    command: str
    skipped: Sequence[str]
    remarks: Sequence[str] = field(default_factory=list)

    def figures(self) -> tuple[dict[str, bytes], list[str]]:
        """PNG files by name, and an error for each figure that could not be drawn."""
        drawn, failed = dict[str, bytes](), list[str]()
        with look():
            for name, draw in self._figures().items():
                try:
                    drawn[name] = png(draw())
                except Exception as error:  # one figure must not cost the others and the report
                    failed.append(f"The figure {name} could not be drawn: {one_line(error) or type(error).__name__}.")
        return drawn, failed

    def _figures(self) -> dict[str, Callable[[], Any]]:
        fast = [d for d in self.images if d.decoder != BASELINE]
        figures: dict[str, Callable[[], Any]] = {"frontier": lambda: frontier(self.summaries)}
        if self.summaries[0].score:
            figures["scores"] = lambda: scores.by_category(self.summaries)
        if self.compared:
            figures["differences"] = lambda: scores.differences(self.summaries)
        if fast:
            figures["tokens-per-pass"] = lambda: speed.over_image(fast, self.grid)
            figures["heat-maps"] = lambda: speed.heat_maps(fast, self.grid)
            figures["acceptance-by-position"] = lambda: speed.by_position(fast, self.grid)
            figures["acceptance-by-entropy"] = lambda: speed.by_entropy(fast)
        figures["gallery"] = lambda: gallery.gallery(self.images, self.summaries, self.shown)
        return figures

    @property
    def compared(self) -> bool:
        """Whether there are differences to `ar`."""
        return any(s.versus for s in self.summaries if s.decoder != BASELINE)

    @property
    def shown(self) -> list[int]:
        """Indices of the items in the gallery."""
        return [i for i, item in enumerate(self.images[0].items) if item.round == 0][:SHOWN]

    @property
    def law_noise(self) -> tuple[float, float]:
        """Least and greatest total variation by chance."""
        noise = [figure.noise for row in self.law for figure in row.figures.values()]
        return min(noise), max(noise)

    def html(self, figures: Mapping[str, bytes]) -> str:
        jinja2 = needed("jinja2")
        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        environment.filters |= {"interval": table.interval, "percent": table.percent, "number": table.number}
        environment.undefined = jinja2.StrictUndefined
        return environment.get_template("report.html.jinja").render(
            report=self,
            figures={name: _inline(data, "png") for name, data in figures.items()},
            gallery=[[_thumbnail(d.picture(i)) for i in self.shown] for d in self.images],
            slowest=max(s.passes.mean for s in self.summaries),
            highlights=highlights(self.summaries, self.law),
            kinds=table.KINDS,
        )


def highlights(summaries: Sequence[Summary], law: Sequence[LawRow]) -> list[tuple[str, str]]:
    """Figures for the head of the report, with their captions."""
    base = next((s for s in summaries if s.decoder == BASELINE), None)
    found = []
    lossless = [s for s in summaries if s.lossless and s.decoder != BASELINE]
    if base is not None and lossless:
        best = min(lossless, key=lambda s: s.passes.mean)
        fewer = base.passes.mean / best.passes.mean
        found.append((f"{fewer:.1f}x", f"fewer passes, lossless: {best.name} needs {best.passes.mean:.0f}"))
    quick = [s for s in summaries if s.speedup is not None and s.decoder != BASELINE]
    if quick:
        best = max(quick, key=lambda s: s.speedup.mean if s.speedup else 0)
        assert best.speedup is not None
        found.append(
            (f"{best.speedup.mean:.1f}x", f"as fast as ar in seconds, {table.KINDS[best.lossless]}: {best.name}")
        )
    recipes = [row for row in law if row.lossless]
    if recipes:
        exact = sum(row.exact for row in recipes)
        found.append((f"{exact} of {len(recipes)}", "lossless recipes draw from exactly the joint law"))
    wrong = [row for row in law if row.lossless is None]
    if wrong:
        found.append((f"{sum(not row.exact for row in wrong)} of {len(wrong)}", "known-wrong decoders are caught"))
    return found


def _thumbnail(picture: Image.Image) -> str:
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=92)
    return _inline(data.getvalue(), "webp")


def _inline(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
