"""One HTML file that shows all that was found out, and opens without a network."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from fewpass.canvas import Grid
from fewpass.evaluation import table
from fewpass.evaluation.drawings import Drawings
from fewpass.evaluation.extra import needed
from fewpass.evaluation.figures import gallery, scores, speed
from fewpass.evaluation.figures.frontier import frontier
from fewpass.evaluation.figures.style import look, png
from fewpass.evaluation.law import LawRow
from fewpass.evaluation.layouts import Exported
from fewpass.evaluation.summary import BASELINE, Summary

SHOWN = 8  # prompts in the gallery
THUMBNAIL = 192  # pixels


@dataclass(frozen=True, eq=False)
class Report:
    """What the file tells. `settings` is what it takes to run again, `skipped` what was left out and why."""

    title: str
    conditions: str
    grid: Grid
    drawings: Sequence[Drawings]
    summaries: Sequence[Summary]
    law: Sequence[LawRow]
    law_images: int
    exported: Sequence[Exported]
    instruments: Mapping[str, str]
    settings: Mapping[str, Any]
    command: str
    skipped: Sequence[str]
    remarks: Sequence[str] = field(default_factory=list)

    def figures(self) -> dict[str, bytes]:
        """PNG files by their names."""
        with look():
            return {name: png(drawn) for name, drawn in self._drawn().items()}

    def _drawn(self) -> dict[str, Any]:
        fast = [d for d in self.drawings if d.decoder != BASELINE]
        drawn = {"frontier": frontier(self.summaries)}
        if self.summaries[0].score:
            drawn["scores"] = scores.by_category(self.summaries)
        if any(s.versus for s in self.summaries if s.decoder != BASELINE):
            drawn["differences"] = scores.differences(self.summaries)
        if fast:
            drawn["tokens-per-pass"] = speed.over_image(fast, self.grid)
            drawn["heat-maps"] = speed.heat_maps(fast, self.grid)
            drawn["acceptance-by-position"] = speed.by_position(fast, self.grid)
            drawn["acceptance-by-entropy"] = speed.by_entropy(fast)
        drawn["gallery"] = gallery.gallery(self.drawings, self.summaries, self.shown)
        return drawn

    @property
    def shown(self) -> list[int]:
        """The places of the items in the gallery."""
        return [i for i, item in enumerate(self.drawings[0].items) if item.round == 0][:SHOWN]

    @property
    def law_noise(self) -> tuple[float, float]:
        """The least and greatest total variation that chance explains."""
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
            gallery=[[_thumbnail(d.picture(i)) for i in self.shown] for d in self.drawings],
            slowest=max(s.passes.mean for s in self.summaries),
            highlights=highlights(self.summaries, self.law),
            words=table.LAW,
        )


def highlights(summaries: Sequence[Summary], law: Sequence[LawRow]) -> list[tuple[str, str]]:
    """A few figures to begin with, and what they say."""
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
            (f"{best.speedup.mean:.1f}x", f"as fast as ar in seconds, {table.LAW[best.lossless]}: {best.name}")
        )
    recipes = [row for row in law if row.lossless]
    if recipes:
        exact = sum(row.exact for row in recipes)
        found.append((f"{exact} of {len(recipes)}", "lossless recipes draw from exactly the model's law"))
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
