"""The figure of a benchmark: seconds of a pass, seconds of an image, images per second of batches."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from fewpass.viz.style import BASE, FAINT, INK, PAPER, figure, labels, look, png

LINES = ("#167458", "#c2611a", "#2f6fb0", "#8a4fa3", "#a8862a", "#b03a5b", "#3d8f9e", "#6b7a2b")
ABREAST = 170  # letters of a line over the whole figure
Rows = Sequence[Mapping[str, Any]]
Colours = Mapping[str, str]


def draw(figures: Mapping[str, Any]) -> bytes:
    """A PNG of the figures in `bench.json`."""
    names = [row["decoder"] for row in figures["decoders"]]
    colours = {**dict(zip(names[1:], cycle(LINES), strict=False)), "ar": BASE}
    with look():
        drawn = figure(13.2, 4.6)
        passes, images, batches = drawn.subplots(1, 3, width_ratios=(1, 1.15, 1))
        _passes(passes, figures["windows"], colours)
        _images(images, figures["decoders"], colours)
        _batches(batches, figures["batches"], colours)
        for name, label in zip(names, labels(names), strict=True):
            images.plot([], [], "o-", ms=4.5, color=colours[name], label=label.replace("\n", " "))
        drawn.legend(loc="outside lower center", ncols=min(4, len(names)), columnspacing=1.6)
        conditions = textwrap.fill(figures["conditions"], ABREAST)  # matplotlib's own wrapping reads formulas
        drawn.suptitle(conditions, x=0.01, ha="left", fontsize=9.5, color=FAINT)
        return png(drawn)


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
    axis.set_title("One image")
    axis.set_xlabel("seconds; x: faster than ar")
    for place, row in enumerate(rows):
        prefill, detokenise, left = row["prefill_seconds"], row["detokenise_seconds"] or 0.0, 0.0
        for part, alpha in ((prefill, 0.45), (row["seconds"] - prefill - detokenise, 1.0), (detokenise, 0.45)):
            axis.barh(place, part, left=left, height=0.62, color=colours[row["decoder"]], alpha=alpha, ec=PAPER, lw=0.8)
            left += part
        words = f"{row['seconds']:.3g} s, {row['passes']:g} passes, {row['faster_than_ar']:.2f}x"
        beside = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axis.annotate(words, (row["seconds"], place), fontsize=8.5, color=INK, **beside)
    axis.set_yticks(range(len(rows)), labels([row["decoder"] for row in rows]))
    axis.tick_params(axis="y", labelcolor=INK)
    axis.grid(axis="y", visible=False)
    axis.set_xlim(0, max(row["seconds"] for row in rows) * 1.62)
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
