"""Speed against quality."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import BASELINE, Summary
from fewpass.viz.style import FAINT, INK, PAPER, WORDS, figure, tint

Quality = tuple[str, Callable[[Summary], Estimate | None], float, bool]  # label, value, scale, is more better?
QUALITIES: tuple[Quality, ...] = (
    ("scenes that are right, %", lambda s: s.score.get("all"), 100.0, True),
    ("CLIP score", lambda s: s.clip, 1.0, True),
    ("negative log-likelihood, nats per token", lambda s: s.nll, 1.0, False),
)


def frontier(summaries: Sequence[Summary]) -> Any:
    """Forward passes and quality with intervals; the line joins the decoders that none beats in both."""
    label, value, scale, more = next(q for q in QUALITIES if all(q[1](s) is not None for s in summaries))
    drawn = figure(9.2, 5.2)
    axis = drawn.subplots()
    points = [(s, s.passes.mean, value(s)) for s in summaries]
    known = [(s, x, e) for s, x, e in points if e is not None and math.isfinite(e.mean)]
    for s, x, e in known:
        colour = tint(s.decoder, s.lossless)
        if math.isfinite(e.low):
            axis.plot([x, x], [e.low * scale, e.high * scale], color=colour, lw=1.1, alpha=0.35, solid_capstyle="round")
        axis.plot(x, e.mean * scale, "o", ms=7.5, color=colour, mec=PAPER, mew=1.2, zorder=4)
    edge = _undominated([(x, e.mean * scale) for _, x, e in known], more)
    axis.plot(*zip(*edge, strict=True), color=INK, lw=1, ls=(0, (1, 2)), zorder=2)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.xaxis.set_minor_formatter("")  # matplotlib's own is a formula
    axis.margins(x=0.14, y=0.16)
    if scale == 100:
        axis.set_ylim(top=min(axis.get_ylim()[1], 103))
    axis.set_xlabel("forward passes per image (log scale)")
    axis.set_ylabel(label)
    axis.invert_xaxis()
    _label(axis, [(s.name, x, e.mean * scale) for s, x, e in known])
    for lossless in (True, False):
        if any(s.lossless is lossless for s in summaries):
            axis.plot([], [], "o", ms=7.5, color=tint("", lossless), label=WORDS[lossless])
    if any(s.decoder == BASELINE for s in summaries):
        axis.plot([], [], "o", ms=7.5, color=tint(BASELINE, True), label="autoregression")
    drawn.legend(loc="outside upper left", ncols=3, handletextpad=0.1, columnspacing=1.2)
    return drawn


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
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.5, "shrinkB": 5} if abs(shift) > 12 else None,
            zorder=5,
        )
