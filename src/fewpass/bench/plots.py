"""The figure of a benchmark: seconds of a pass, seconds of an image, images per second of batches."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from fewpass.bench.baseline import NAME
from fewpass.viz.style import BASE, FAINT, INK, PAPER, figure, look, png

LINES = ("#167458", "#c2611a", "#2f6fb0", "#8a4fa3", "#a8862a", "#b03a5b", "#3d8f9e", "#6b7a2b")
SHORT = 24  # letters of a decoder beside a bar
ABREAST = 170  # letters of a line over the whole figure
Rows = Sequence[Mapping[str, Any]]
Colours = Mapping[str, str]


def draw(figures: Mapping[str, Any]) -> bytes:
    """A PNG of the figures in `bench.json`."""
    names = [row["decoder"] for row in figures["decoders"]]
    others = [name for name in names if name not in ("ar", NAME)]
    colours = {"ar": BASE, NAME: FAINT, **dict(zip(others, cycle(LINES), strict=False))}
    labels = short(names)
    with look():
        drawn = figure(13.2, 4.6)
        passes, images, batches = drawn.subplots(1, 3, width_ratios=(1, 1.15, 1))
        _passes(passes, figures["windows"], colours)
        _images(images, figures["decoders"], colours, labels)
        _batches(batches, figures["batches"], colours)
        for name in names:
            if name != NAME:
                images.plot([], [], "o-", ms=4.5, color=colours[name], label=labels[name])
        drawn.legend(loc="outside lower center", ncols=min(4, len(names)), columnspacing=1.6)
        conditions = textwrap.fill(figures["conditions"], ABREAST)  # matplotlib's own wrapping reads formulas
        drawn.suptitle(conditions, x=0.01, ha="left", fontsize=9.5, color=FAINT)
        return png(drawn)


def short(names: Sequence[str]) -> dict[str, str]:
    """Names of decoders, with options only where two have the same name."""
    bare = [name.partition("(")[0] for name in names]
    return {name: b if bare.count(b) == 1 else name for name, b in zip(names, bare, strict=True)}


def _passes(axis: Any, rows: Rows, colours: Colours) -> None:
    milliseconds = []
    for row in rows:
        whole = 1000 * row["pass_seconds"]
        milliseconds.append({**row, "whole": whole, "inside": whole * (1 - row["outside_the_model"])})
    first = [row for row in milliseconds if row["window"] == 0]  # of `ar`, the same for all
    for mine in _by_decoder(milliseconds, "window"):
        mine = mine if mine[0]["window"] == 0 else [*first, *mine]
        _line(axis, mine, "window", "whole", colours)
        _line(axis, mine, "window", "inside", colours, style="--")
    axis.set_xticks(sorted({row["window"] for row in rows}))
    _name(axis, "One pass", "drafts in the window", "milliseconds (dashed: inside the model)", rows)


def _images(axis: Any, rows: Rows, colours: Colours, labels: Mapping[str, str]) -> None:
    axis.set_title("One image")
    axis.set_xlabel("seconds; x: faster than ar")
    for place, row in enumerate(rows):
        prefill, detokenise, left = row["prefill_seconds"] or 0.0, row["detokenise_seconds"] or 0.0, 0.0
        for part, alpha in ((prefill, 0.45), (row["seconds"] - prefill - detokenise, 1.0), (detokenise, 0.45)):
            axis.barh(place, part, left=left, height=0.62, color=colours[row["decoder"]], alpha=alpha, ec=PAPER, lw=0.8)
            left += part
        seconds = f"{row['seconds']:.3g}" if row["seconds"] < 100 else f"{row['seconds']:.0f}"
        words = f"{seconds} s, {row['passes']:g} passes"
        words += f", {row['faster_than_ar']:.2f}x" if row["decoder"] != "ar" else ""
        beside = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axis.annotate(words, (row["seconds"], place), fontsize=8.5, color=INK, **beside)
    names = [labels[row["decoder"]] for row in rows]
    axis.set_yticks(range(len(rows)), [n if len(n) <= SHORT else f"{n[:SHORT]}..." for n in names])
    axis.tick_params(axis="y", labelcolor=INK)
    axis.grid(axis="y", visible=False)
    axis.set_xlim(0, max(row["seconds"] for row in rows) * 1.62)
    axis.set_ylim(len(rows) - 0.4, -0.6)


def _batches(axis: Any, rows: Rows, colours: Colours) -> None:
    for mine in _by_decoder(rows, "batch"):
        _line(axis, mine, "batch", "images_per_second", colours)
    sizes = sorted({row["batch"] for row in rows})
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.minorticks_off()
    _name(axis, "Batches", "images drawn together", "images per second", rows)


def _name(axis: Any, title: str, x: str, y: str, rows: Rows) -> None:
    """Name an axis that has been plotted, and let it begin at 0."""
    axis.set_title(title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.set_ylim(bottom=0)
    if not rows:
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color=FAINT)


def _by_decoder(rows: Rows, by: str) -> list[list[Mapping[str, Any]]]:
    """The rows of each decoder, sorted by one of their figures."""
    ordered = sorted(rows, key=lambda row: row[by])
    return [[row for row in ordered if row["decoder"] == name] for name in dict.fromkeys(r["decoder"] for r in rows)]


def _line(axis: Any, rows: Rows, x: str, y: str, colours: Colours, style: str = "o-") -> None:
    points = [row[x] for row in rows], [row[y] for row in rows]
    axis.plot(*points, style, ms=4.5, lw=1.6 if style == "o-" else 1.2, color=colours[rows[-1]["decoder"]])
