"""The report: one HTML file that needs no network."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from fewpass.evaluation import summary as table
from fewpass.evaluation.benchmarks import Exported
from fewpass.evaluation.images import DecoderImages
from fewpass.evaluation.summary import BASELINE, Summary
from fewpass.io.extra import needed

SHOWN = 8  # prompts in the gallery
THUMBNAIL = 192  # pixels


@dataclass(frozen=True, eq=False)
class Report:
    """The contents of the file. `skipped` lists parts left out, with reasons; `features` names those of distances."""

    title: str
    conditions: str
    images: Sequence[DecoderImages]
    summaries: Sequence[Summary]
    exported: Sequence[Exported]
    features: str
    settings: Mapping[str, Any]
    command: str
    skipped: Sequence[str]

    @property
    def compared(self) -> bool:
        """Whether there are differences to `ar`."""
        return any(s.versus for s in self.summaries if s.decoder != BASELINE)

    @property
    def shown(self) -> list[int]:
        """Indices of the items in the gallery."""
        return [i for i, item in enumerate(self.images[0].items) if item.round == 0][:SHOWN]

    def html(self, figures: Mapping[str, bytes]) -> str:
        """The file, with the PNG files of `figures` in it."""
        jinja2 = needed("jinja2")
        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        environment.filters["number"] = table.number
        environment.undefined = jinja2.StrictUndefined
        return environment.get_template("report.html.jinja").render(
            report=self,
            figures={name: _inline(data, "png") for name, data in figures.items()},
            gallery=[[_thumbnail(d.picture(i)) for i in self.shown] for d in self.images],
            slowest=max(s.passes.mean for s in self.summaries),
            kinds=table.KINDS,
        )


def _thumbnail(picture: Image.Image) -> str:
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=92)
    return _inline(data.getvalue(), "webp")


def _inline(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
