"""The figures of the report, drawn with matplotlib."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fewpass.core.canvas import Grid
from fewpass.engine.result import law
from fewpass.evaluation.images import DecoderImages, acceptance_by_entropy, bounds, heat
from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import BASELINE, Summary
from fewpass.viz.style import BASE, FAINT, INK, PAPER, RULE, colours, figure, labels, panels, tint

Quality = tuple[str, Callable[[Summary], Estimate | None], bool]  # label, value, is more better?
QUALITIES: tuple[Quality, ...] = (
    ("distance to ar, KID", lambda s: s.kid, False),
    ("CLIP score", lambda s: s.clip, True),
    ("negative log-likelihood, nats per token", lambda s: s.nll, False),
)
ABREAST, BINS = 5, 12
MOST_NAMES = 16  # in the plot of passes against distance; of more decoders, those on the line have names


def figures(
    everything: Sequence[DecoderImages], summaries: Sequence[Summary], grid: Grid
) -> dict[str, Callable[[], Any]]:
    """The figures by name, to be drawn by a call."""
    found: dict[str, Callable[[], Any]] = {"frontier": lambda: frontier(summaries)}
    if fast := [images for images in everything if images.decoder != BASELINE]:
        found["heat-maps"] = lambda: heat_maps(fast, grid)
        found["acceptance-by-entropy"] = lambda: by_entropy(fast)
    return found


def frontier(summaries: Sequence[Summary]) -> Any:
    """Forward passes and quality with intervals; the dotted line joins the decoders that none beats in both.

    The dashed line is the floor: the distance of `ar` from its own images of other seeds.
    """
    label, value, more = next(q for q in QUALITIES if all(q[1](s) is not None for s in summaries))
    drawn = figure(9.2, 5.2)
    axis = drawn.subplots()
    points = [(s, s.passes.mean, value(s)) for s in summaries]
    known = [(s, x, e) for s, x, e in points if e is not None and math.isfinite(e.mean)]
    for kind in dict.fromkeys(_kind(s) for s, _, _ in known):
        mine = [(s, x, e) for s, x, e in known if _kind(s) == kind]
        colour = tint(mine[0][0].decoder, mine[0][0].lossless)
        intervals = np.array([(e.mean - e.low, e.high - e.mean) for _, _, e in mine]).T
        look = {"color": colour, "ecolor": (colour, 0.35), "elinewidth": 1.1, "mec": PAPER, "mew": 1.2, "zorder": 4}
        axis.errorbar(
            [x for _, x, _ in mine], [e.mean for *_, e in mine], intervals, fmt="o", ms=7.5, label=kind, **look
        )
    edge = _undominated([(x, e.mean) for _, x, e in known], more)
    axis.plot(*zip(*edge, strict=True), color=INK, lw=1, ls=(0, (1, 2)), zorder=2)
    for s, _, _ in known:
        if s.decoder == BASELINE and s.kid is not None:
            axis.axhline(s.kid.mean, color=BASE, lw=0.8, ls=(0, (4, 3)), zorder=1)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.xaxis.set_minor_formatter("")  # matplotlib's own is a formula
    axis.margins(x=0.14, y=0.16)
    axis.set_xlabel("forward passes per image (log scale)")
    axis.set_ylabel(label)
    axis.invert_xaxis()
    named = zip(labels([s.decoder for s, _, _ in known]), known, strict=True)
    worth = [(name, x, e.mean) for name, (_, x, e) in named if len(known) <= MOST_NAMES or (x, e.mean) in edge]
    _label(axis, [(name.replace("\n", " "), x, y) for name, x, y in worth])
    drawn.legend(loc="outside upper left", ncols=3, handletextpad=0.1, columnspacing=1.2)
    return drawn


def _kind(summary: Summary) -> str:
    return "autoregression" if summary.decoder == BASELINE else law(summary.lossless)


def _undominated(points: Sequence[tuple[float, float]], more: bool) -> list[tuple[float, float]]:
    """The points that no other beats in both coordinates, by passes."""
    sign, best, edge = (1 if more else -1), -math.inf, []
    for x, y in sorted(points, key=lambda p: (p[0], -sign * p[1])):
        if sign * y > best:
            best = sign * y
            edge.append((x, y))
    return edge


def _label(axis: Any, named: Sequence[tuple[str, float, float]]) -> None:
    """Annotate points with names, shifted until none hides another, with a line if far."""
    axis.figure.draw_without_rendering()
    unit = axis.figure.dpi / 72  # places below are in points, like font sizes
    at = [(name, (x, y), *(axis.transData.transform((x, y)) / unit)) for name, x, y in named]
    taken = [(x - 6, y - 5, x + 6, y + 5) for _, _, x, y in at]
    for name, point, x, y in sorted(at, key=lambda place: place[3]):
        for shift in (0, 12, -12, 20, -20, 30, -30, 42, -42, 56, -56, 70, -70):
            box = (x + 9, y + shift - 5.5, x + 13 + 5.6 * len(name), y + shift + 5.5)
            if not any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in taken):
                break
        taken.append(box)
        axis.annotate(
            name,
            point,
            xytext=(9, shift),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
            bbox={"boxstyle": "square,pad=0.1", "fc": PAPER, "ec": "none", "alpha": 0.85},  # lines stop behind it
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.5, "shrinkB": 5} if abs(shift) > 12 else None,
            zorder=5,
        )


def heat_maps(everything: Sequence[DecoderImages], grid: Grid) -> Any:
    """Tokens per pass over the image, one scale for all."""
    maps = [heat(d, grid) for d in everything]
    drawn, axes = panels(len(maps), ABREAST, 1.75, 1.75 * grid.rows / grid.cols + 0.35)
    limits = {"vmin": 1.0, "vmax": max(float(np.quantile(np.stack(maps), 0.995)), 1.01)}
    for axis, d, name, values in zip(axes, everything, _names(everything), maps, strict=True):
        shown = axis.imshow(values, cmap=colours(), interpolation="nearest", **limits)
        axis.set_title(name, color=tint(d.decoder, d.lossless), fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set_visible(False)
    bar = drawn.colorbar(shown, ax=axes, shrink=0.7, aspect=28, pad=0.015, extend="max")
    bar.outline.set_visible(False)
    bar.set_label("tokens per pass", fontsize=9)
    return drawn


def by_entropy(everything: Sequence[DecoderImages]) -> Any:
    """The share of tokens that cost no pass of their own, by the entropy of p; every other decoder in grey."""
    cuts = bounds(everything, BINS)
    curves = [acceptance_by_entropy(d, cuts) for d in everything]
    drawn, axes = panels(len(everything), ABREAST, 1.85, 1.5, sharex=True, sharey=True)
    for chosen, (axis, d, name) in enumerate(zip(axes, everything, _names(everything), strict=True)):
        for number, (entropy, accepted) in enumerate(curves):
            own = {"color": tint(d.decoder, d.lossless), "lw": 1.8, "zorder": 3, "marker": "o", "ms": 3}
            axis.plot(entropy, 100 * accepted, **own if number == chosen else {"color": RULE, "lw": 1, "zorder": 2})
        axis.set_title(name, fontsize=8, color=tint(d.decoder, d.lossless))
        axis.tick_params(labelcolor=FAINT)
        axis.set_ylim(0, 100)
        axis.set_xlim(left=0)
    drawn.supxlabel("entropy of the model at the token, nats", fontsize=9.5)
    drawn.supylabel("tokens that cost no pass of their own, %", fontsize=9.5)
    return drawn


def _names(everything: Sequence[DecoderImages]) -> list[str]:
    return labels([images.decoder for images in everything])
