"""Scene scores by category, and differences to autoregression."""

from collections.abc import Sequence
from typing import Any

from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import BASELINE, Summary
from fewpass.viz.style import BASE, FAINT, RULE, figure, tint


def by_category(summaries: Sequence[Summary]) -> Any:
    """Share of right scenes with interval, a panel for each category; the line is `ar`."""
    categories = list(summaries[0].score)
    drawn = figure(2.1 + 2.0 * len(categories), 0.75 + 0.27 * len(summaries))
    axes = drawn.subplots(1, len(categories), sharey=True, squeeze=False)[0]
    base = next((s for s in summaries if s.decoder == BASELINE), None)
    for axis, category in zip(axes, categories, strict=True):
        if base is not None:
            axis.axvline(base.score[category].mean * 100, color=BASE, lw=0.8, ls=(0, (1, 2)))
        _intervals(axis, summaries, [s.score[category] for s in summaries], 100)
        axis.set_title(f"{category}, {summaries[0].score[category].n} images")
        axis.set_xlim(-4, 104)
        axis.set_xlabel("right, %")
    return drawn


def differences(summaries: Sequence[Summary]) -> Any:
    """Differences to `ar` on the same prompts and seeds, in scene score and likelihood."""
    others = [s for s in summaries if s.decoder != BASELINE and s.versus]
    kinds = [("score", 100, "scene score, points"), ("nll", 1, "negative log-likelihood, nats per token")]
    kinds = [kind for kind in kinds if all(kind[0] in s.versus for s in others)]
    drawn = figure(2.1 + 3.6 * len(kinds), 0.75 + 0.27 * len(others))
    axes = drawn.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axis, (key, scale, label) in zip(axes, kinds, strict=True):
        axis.axvline(0, color=BASE, lw=0.8, ls=(0, (1, 2)))
        _intervals(axis, others, [s.versus[key] for s in others], scale)
        axis.set_xlabel(f"{label}: difference to ar")
    return drawn


def _intervals(axis: Any, summaries: Sequence[Summary], estimates: Sequence[Estimate], scale: float) -> None:
    for row, (s, e) in enumerate(zip(summaries, estimates, strict=True)):
        colour = tint(s.decoder, s.lossless)
        axis.axhline(row, color=RULE, lw=0.7, zorder=1)
        axis.plot([e.low * scale, e.high * scale], [row, row], color=colour, lw=2.4, alpha=0.35, solid_capstyle="round")
        axis.plot(e.mean * scale, row, "o", ms=5, color=colour)
    axis.grid(axis="y", visible=False)
    axis.set_yticks(range(len(summaries)), [s.name for s in summaries])
    axis.tick_params(axis="y", labelcolor=FAINT, length=0)
    axis.set_ylim(len(summaries) - 0.4, -0.6)
    axis.spines["left"].set_visible(False)
