"""The figure of a benchmark: seconds of a pass, seconds of an image, images per second of batches."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from fewpass.viz.style import BASE, FAINT, INK, PAPER, figure, labels

LINES = ("#167458", "#c2611a", "#2f6fb0", "#8a4fa3", "#a8862a", "#b03a5b", "#3d8f9e", "#6b7a2b")
ABREAST = 170  # letters of a line over the whole figure
Rows = Sequence[Mapping[str, Any]]
Colours = Mapping[str, str]


def draw(results: Mapping[str, Any]) -> Any:
    """A figure of the results in `bench.json`."""
    names = [row["decoder"] for row in results["decoders"]]
    colours = {**dict(zip(names[1:], cycle(LINES), strict=False)), "ar": BASE}
    drawn = figure(13.2, 4.6)
    passes, images, batches = drawn.subplots(1, 3, width_ratios=(1, 1.15, 1))
    _passes(passes, results["windows"], colours)
    _images(images, results["decoders"], colours)
    _batches(batches, results["batches"], colours)
    for name, label in zip(names, labels(names), strict=True):
        images.plot([], [], "o-", ms=4.5, color=colours[name], label=label.replace("\n", " "))
    drawn.legend(loc="outside lower center", ncols=min(4, len(names)), columnspacing=1.6)
    conditions = textwrap.fill(results["conditions"], ABREAST)  # matplotlib's own wrapping reads formulas
    drawn.suptitle(conditions, x=0.01, ha="left", fontsize=9.5, color=FAINT)
    return drawn


def _passes(axis: Any, rows: Rows, colours: Colours) -> None:
    first = [row for row in rows if row["window"] == 0]  # of `ar`, the same for all
    for name, mine in _by_decoder(rows):
        points = mine if name == "ar" else [*first, *mine]
        windows, whole = [row["window"] for row in points], [1000 * row["pass_seconds"] for row in points]
        inside = [y * (1 - row["outside_the_model"]) for y, row in zip(whole, points, strict=True)]
        axis.plot(windows, whole, "o-", ms=4.5, lw=1.6, color=colours[name])
        axis.plot(windows, inside, "--", lw=1.2, color=colours[name])
    axis.set_xticks(sorted({row["window"] for row in rows}))
    _name(axis, "One pass", "drafts in the window", "milliseconds (dashed: inside the model)", rows)


def _images(axis: Any, rows: Rows, colours: Colours) -> None:
    """Seconds of the prefill, of the passes behind it and of the pixels, one behind the other."""
    prefill, whole = [row["prefill_seconds"] for row in rows], [row["seconds"] for row in rows]
    drawn = [row["seconds"] - (row["detokenise_seconds"] or 0.0) for row in rows]
    places, starts = range(len(rows)), [0.0] * len(rows)
    for ends, alpha in ((prefill, 0.45), (drawn, 1.0), (whole, 0.45)):
        parts = [end - start for start, end in zip(starts, ends, strict=True)]
        shades = [(colours[row["decoder"]], alpha) for row in rows]
        bars = axis.barh(places, parts, left=starts, height=0.62, color=shades, ec=PAPER, lw=0.8)
        starts = ends
    words = [f"{row['seconds']:.3g} s, {row['passes']:g} passes, {row['faster_than_ar']:.2f}x" for row in rows]
    axis.bar_label(bars, words, padding=5, fontsize=8.5, color=INK)
    axis.set_yticks(places, labels([row["decoder"] for row in rows]), color=INK)
    axis.set_title("One image")
    axis.set_xlabel("seconds; x: faster than ar")
    axis.grid(axis="y", visible=False)
    axis.set_xlim(0, max(whole) * 1.62)
    axis.invert_yaxis()


def _batches(axis: Any, rows: Rows, colours: Colours) -> None:
    for name, mine in _by_decoder(rows):
        sizes, rates = [row["batch"] for row in mine], [row["images_per_second"] for row in mine]
        axis.plot(sizes, rates, "o-", ms=4.5, lw=1.6, color=colours[name])
    every = sorted({row["batch"] for row in rows})
    axis.set_xscale("log", base=2)
    axis.set_xticks(every, [str(size) for size in every])
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


def _by_decoder(rows: Rows) -> list[tuple[str, Rows]]:
    """The rows of each decoder; windows and batch sizes ascend in them."""
    return [(name, [r for r in rows if r["decoder"] == name]) for name in dict.fromkeys(r["decoder"] for r in rows)]
