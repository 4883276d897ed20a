"""The report: one HTML file that needs no network, the table of decoders, and the files beside them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from fewpass.engine.result import law
from fewpass.evaluation.folder import DecoderImages
from fewpass.evaluation.frontier import frontier
from fewpass.evaluation.run import Evaluation
from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import BASELINE, Summary, summarise
from fewpass.viz.encode import data_url, encoded, rendered

TEMPLATE = Path(__file__).with_name("report.html.jinja")
SHOWN = 8  # prompts in the gallery
THUMBNAIL = 192  # pixels
NO_BASELINE = "Differences, KID and FID to ar: ar was not among the decoders."


def conclude(run: Evaluation) -> list[Summary]:
    """Measure, and write `results.json`, `table.md`, the benchmarks' folders, `figures/frontier.png`, `report.html`."""
    everything = [run.read(decoder, run.items) for decoder in run.decoders]
    apart = run.read(run.baseline, run.counterparts) if run.baseline and run.counterparts else None
    summaries = summarise(everything, run.instruments, apart)
    results = {
        "settings": {**run.settings, "prompts": run.source, "images": f"{len(run.items)} of every decoder"},
        "command": run.command,
        "conditions": run.conditions,
        "features": run.instruments.features.name if run.instruments.features else "",
        "decoders": summaries,
        "left_out": [*run.skipped, *[NO_BASELINE] * (run.baseline is None)],
    }
    run.folder.write("results.json", json.dumps(_without_nan(results), indent=1))
    run.folder.write("table.md", markdown(summaries, run.conditions))
    for benchmark in run.benchmarks:
        for images in everything:
            benchmark.export(images)
    figure = frontier(summaries)
    run.folder.write("figures/frontier.png", figure)
    run.folder.write("report.html", html(results, everything, figure))
    return summaries


def table(summaries: Sequence[Summary]) -> tuple[list[str], list[list[str]]]:
    """The heading, and a row for each decoder."""
    heading, rows = ["decoder", "images", "passes", "tokens per pass", "seconds", "nats per token"], []
    for s in summaries:
        row = [s.decoder, law(s.lossless), number(s.passes.mean, 1), with_error(s.tokens_per_pass, 2)]
        row += [number(s.seconds.mean, 2), number(s.nll.mean, 3)]
        rows.append(row + [with_error(e, 4) for e in (s.kid,) if e])
    return heading + ["KID to ar"] * any(s.kid for s in summaries), rows


def markdown(summaries: Sequence[Summary], conditions: str) -> str:
    """The table in Markdown, under a line with its conditions."""
    heading, rows = table(summaries)
    lines = [heading, ["---", "---", *["---:"] * (len(heading) - 2)], *([f"`{row[0]}`", *row[1:]] for row in rows)]
    return "\n".join([conditions, "", *(f"| {' | '.join(cells)} |" for cells in lines)]) + "\n"


def number(value: float | None, digits: int) -> str:
    """A number of so many decimals, `-` for none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_error(estimate: Estimate, digits: int) -> str:
    """Mean and standard error: `3.21 ± 0.05`."""
    error = f" ± {number(estimate.error, digits)}" if math.isfinite(estimate.error) else ""
    return number(estimate.mean, digits) + error


def html(results: Mapping[str, Any], everything: Sequence[DecoderImages], figure: bytes) -> str:
    """The content of `report.html`, with the PNG file `figure` in it."""
    shown = [i for i, item in enumerate(everything[0].items) if item.round == 0][:SHOWN]
    return rendered(
        TEMPLATE,
        **results,
        number=number,
        with_error=with_error,
        law=law,
        images=everything,
        figure=data_url(figure),
        shown=shown,
        gallery=[[_thumbnail(images.picture(i)) for i in shown] for images in everything],
        compared=any(s.nll_difference for s in results["decoders"] if s.decoder != BASELINE),
        slowest=max(s.passes.mean for s in results["decoders"]),
    )


def _without_nan(value: Any) -> Any:
    """The value as JSON has it, with None for NaN and infinity, which Python alone writes as constants."""
    return json.loads(json.dumps(value, default=asdict), parse_constant=lambda constant: None)


def _thumbnail(picture: Image.Image) -> str:
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return data_url(encoded(picture, "WEBP", quality=92), "webp")
