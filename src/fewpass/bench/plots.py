"""The figure of a benchmark: seconds of a pass, seconds of an image, images per second of batches."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from fewpass.bench.baseline import NAME
from fewpass.bench.summary import contradictions, inside_seconds
from fewpass.viz.style import BASE, FAINT, INK, PAPER, figure, look, png

LINES = ("#167458", "#c2611a", "#2f6fb0", "#8a4fa3", "#a8862a", "#b03a5b", "#3d8f9e", "#6b7a2b")
ALERT = "#b3261e"
SHORT = 24  # letters of a decoder beside a bar
ABREAST = 170  # letters of a line over the whole figure


def draw(figures: Mapping[str, Any]) -> bytes:
    """A PNG of the figures in `bench.json`."""
    with look():
        drawn = figure(13.2, 4.6)
        axes = drawn.subplots(1, 3, width_ratios=(1, 1.15, 1))
        names = [row["decoder"] for row in figures["decoders"]]
        others = [name for name in names if name not in ("ar", NAME)]
        colours = {"ar": BASE, NAME: FAINT} | {n: LINES[i % len(LINES)] for i, n in enumerate(others)}
        labels = short(names)
        _passes(axes[0], figures["windows"], colours)
        _seconds(axes[1], figures["decoders"], colours, labels)
        _batches(axes[2], figures["batches"], colours)
        for axis, wrong in (
            (axes[0], contradictions(figures["windows"], ())),
            (axes[1], contradictions((), figures["decoders"])),
        ):
            if wrong:
                axis.set_title(f"{axis.get_title('left')}: contradicts itself, see the notes", color=ALERT)
        for axis, kind in ((axes[0], "windows"), (axes[2], "batches")):
            if not figures[kind]:
                axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color=FAINT)
        for name in names:
            if name != NAME:
                axes[1].plot([], [], "o-", ms=4.5, color=colours[name], label=labels[name])
        drawn.legend(loc="outside lower center", ncols=min(4, len(names)), columnspacing=1.6)
        conditions = textwrap.fill(figures["conditions"], ABREAST)  # matplotlib's own wrapping reads formulas
        drawn.suptitle(conditions, x=0.01, ha="left", fontsize=9.5, color=FAINT)
        return png(drawn)


def short(names: Sequence[str]) -> dict[str, str]:
    """Names of decoders, with options only where two have the same name."""
    bare = [name.partition("(")[0] for name in names]
    return {name: b if bare.count(b) == 1 else name for name, b in zip(names, bare, strict=True)}


def _passes(axis: Any, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    axis.set_title("One pass")
    axis.set_xlabel("drafts in the window")
    axis.set_ylabel("milliseconds (dashed: inside the model)")
    first = [row for row in rows if row["window"] == 0]
    for name in dict.fromkeys(row["decoder"] for row in rows):
        mine = sorted((row for row in rows if row["decoder"] == name), key=lambda row: row["window"])
        mine = mine if mine[0]["window"] == 0 else [*first, *mine]  # window 0 is `ar` for all
        x = [row["window"] for row in mine]
        whole = [_milli(row["pass_seconds"]) for row in mine]
        inside = [_milli(inside_seconds(row)) for row in mine]
        axis.plot(x, whole, "o-", ms=4.5, lw=1.6, color=colours[name], zorder=3)
        axis.plot(x, inside, "--", lw=1.2, color=colours[name], zorder=2)
    axis.set_xticks(sorted({row["window"] for row in rows}))
    axis.set_ylim(bottom=0)


def _seconds(
    axis: Any, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    axis.set_title("One image")
    axis.set_xlabel("seconds; x: faster than ar")
    longest = max(row["seconds"] for row in rows)
    for place, row in enumerate(rows):
        parts = [row["prefill_seconds"] or 0.0, 0.0, row["detokenise_seconds"] or 0.0]
        parts[1] = max(0.0, row["seconds"] - sum(parts))
        left = 0.0
        for part, alpha in zip(parts, (0.45, 1.0, 0.45), strict=True):
            axis.barh(place, part, left=left, height=0.62, color=colours[row["decoder"]], alpha=alpha, ec=PAPER, lw=0.8)
            left += part
        words = f"{_digits(row['seconds'])} s, {row['passes']:g} passes"
        words += f", {row['faster_than_ar']:.2f}x" if row["decoder"] != "ar" else ""
        axis.annotate(
            words,
            (row["seconds"], place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    names = [labels[row["decoder"]] for row in rows]
    axis.set_yticks(range(len(rows)), [n if len(n) <= SHORT else f"{n[:SHORT]}..." for n in names])
    axis.tick_params(axis="y", labelcolor=INK)
    axis.grid(axis="y", visible=False)
    axis.set_xlim(0, longest * 1.62)
    axis.set_ylim(len(rows) - 0.4, -0.6)


def _batches(axis: Any, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    axis.set_title("Batches")
    axis.set_xlabel("images drawn together")
    axis.set_ylabel("images per second")
    sizes = sorted({row["batch"] for row in rows})
    for name in dict.fromkeys(row["decoder"] for row in rows):
        mine = sorted((row for row in rows if row["decoder"] == name), key=lambda row: row["batch"])
        x, y = [row["batch"] for row in mine], [row["images_per_second"] for row in mine]
        axis.plot(x, y, "o-", ms=4.5, lw=1.6, color=colours[name])
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.minorticks_off()
    axis.set_ylim(bottom=0)


def _milli(seconds: float | None) -> float:
    return float("nan") if seconds is None else 1000 * seconds


def _digits(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"
