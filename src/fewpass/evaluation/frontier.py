"""The figure of the report: forward passes against quality."""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from fewpass.engine.result import law
from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import BASELINE, Summary
from fewpass.viz.colours import BASE, FAINT, INK, PAPER, TINTS

Quality = tuple[str, Callable[[Summary], Estimate | None], bool]  # label, value, is more better?
QUALITIES: tuple[Quality, ...] = (
    ("distance to ar, KID", lambda s: s.kid, False),
    ("CLIP score", lambda s: s.clip, True),
    ("negative log-likelihood, nats per token", lambda s: s.nll, False),
)
MOST_NAMES = 16  # of more decoders, those on the line have names
STYLE = Path(__file__).with_name("frontier.mplstyle")
SMALLEST = 1e-3  # extent of the linear part of the axis of distances
DPI = 200


def frontier(summaries: Sequence[Summary]) -> bytes:
    """A PNG of passes and quality with intervals; the dotted line joins the decoders that none beats in both.

    The dashed line is the floor: the distance of `ar` from its own images of other seeds.
    """
    data = io.BytesIO()
    with matplotlib.style.context(STYLE):
        drawn = Figure(figsize=(9.2, 5.2), layout="constrained")
        _plot(drawn.subplots(), summaries)
        drawn.legend(loc="outside upper left", ncols=3, handletextpad=0.1, columnspacing=1.2)
        drawn.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
    return data.getvalue()


def _plot(axis: Any, summaries: Sequence[Summary]) -> None:
    label, value, more = next(q for q in QUALITIES if any((e := q[1](s)) and math.isfinite(e.mean) for s in summaries))
    known = [(s, s.passes.mean, e) for s in summaries if (e := value(s)) is not None and math.isfinite(e.mean)]
    for kind in dict.fromkeys(_kind(s) for s, _, _ in known):
        mine = [(s, x, e) for s, x, e in known if _kind(s) == kind]
        colour = BASE if mine[0][0].decoder == BASELINE else TINTS[mine[0][0].lossless]
        intervals = np.array([(e.mean - e.low, e.high - e.mean) for _, _, e in mine]).T
        look = {"color": colour, "ecolor": (colour, 0.35), "elinewidth": 1.1, "mec": PAPER, "mew": 1.2, "zorder": 4}
        axis.errorbar(
            [x for _, x, _ in mine], [e.mean for *_, e in mine], intervals, fmt="o", ms=7.5, label=kind, **look
        )
    edge = _undominated([(x, e.mean) for _, x, e in known], more)
    axis.plot(*zip(*edge, strict=True), color=INK, lw=1, ls=(0, (1, 2)), zorder=2)
    for s, _, e in known:
        if s.decoder == BASELINE and e is s.kid:
            axis.axhline(e.mean, color=BASE, lw=0.8, ls=(0, (4, 3)), zorder=1)
            # Distances differ by factors of a hundred, and are 0 up to chance for many.
            axis.set_yscale("symlog", linthresh=max(SMALLEST, e.high - e.mean))  # NaN for few images
            axis.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.xaxis.set_minor_formatter("")  # matplotlib's own is a formula
    axis.margins(x=0.14, y=0.16)
    axis.set_xlabel("forward passes per image (log scale)")
    axis.set_ylabel(label)
    axis.invert_xaxis()
    named = zip(labels([s.decoder for s, _, _ in known]), known, strict=True)
    _label(axis, [(name, x, e.mean) for name, (_, x, e) in named if len(known) <= MOST_NAMES or (x, e.mean) in edge])


def labels(spellings: Sequence[str]) -> list[str]:
    """Names of recipes, and behind them the options in which decoders of one recipe differ."""
    options = [spelling.partition("(")[2].removesuffix(")").split(", ") for spelling in spellings]
    names = [spelling.partition("(")[0] for spelling in spellings]
    found = []
    for name, own in zip(names, options, strict=True):
        alike = [set(other) for n, other in zip(names, options, strict=True) if n == name]
        found.append(f"{name} {', '.join(o for o in own if not all(o in a for a in alike))}".rstrip())
    return found


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
    taken = [Bbox.from_bounds(x - 6, y - 5, 12, 10) for _, _, x, y in at]
    for name, point, x, y in sorted(at, key=lambda place: place[3]):
        for shift in (0, 12, -12, 20, -20, 30, -30, 42, -42, 56, -56, 70, -70):
            box = Bbox.from_bounds(x + 9, y + shift - 5.5, 4 + 5.6 * len(name), 11)
            if not box.count_overlaps(taken):
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
