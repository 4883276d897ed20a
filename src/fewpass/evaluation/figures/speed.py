"""Where decoders are fast: over the image, and at which tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewpass.core.canvas import Grid
from fewpass.evaluation.images import (
    DecoderImages,
    Numbers,
    acceptance,
    acceptance_by_entropy,
    bounds,
    heat,
    smooth,
    tokens_per_pass,
)
from fewpass.viz.style import FAINT, RULE, colours, panels, tint

ABREAST = 5
BINS = 12


def over_image(everything: Sequence[DecoderImages], grid: Grid) -> Any:
    """Tokens per pass at each position in raster order, averaged over a row; every other decoder in grey."""
    curves = [smooth(tokens_per_pass(d), grid.cols) for d in everything]
    places = np.arange(len(curves[0])) / grid.cols
    drawn, axes = _each(everything, [(places, curve) for curve in curves])
    for axis in axes:
        axis.set_ylim(0, max(curve.max() for curve in curves) * 1.08)
        axis.set_xlim(0, places[-1])
    drawn.supxlabel("row of the image", fontsize=9.5)
    drawn.supylabel("tokens per pass", fontsize=9.5)
    return drawn


def heat_maps(everything: Sequence[DecoderImages], grid: Grid) -> Any:
    """Tokens per pass over the image, one scale for all."""
    maps = [heat(d, grid) for d in everything]
    drawn, axes = panels(len(maps), ABREAST, 1.75, 1.75 * grid.rows / grid.cols + 0.35)
    limits = {"vmin": 1.0, "vmax": max(float(np.quantile(np.stack(maps), 0.995)), 1.01)}
    for axis, d, values in zip(axes, everything, maps, strict=True):
        shown = axis.imshow(values, cmap=colours(), interpolation="nearest", **limits)
        axis.set_title(d.name, color=tint(d.decoder, d.lossless), fontsize=9.5)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set_visible(False)
    bar = drawn.colorbar(shown, ax=axes, shrink=0.7, aspect=28, pad=0.015, extend="max")
    bar.outline.set_visible(False)
    bar.set_label("tokens per pass", fontsize=9)
    return drawn


def by_position(everything: Sequence[DecoderImages], grid: Grid) -> Any:
    """The share of tokens that cost no pass of their own, by position; every other decoder in grey."""
    curves = [100 * smooth(acceptance(d), grid.cols) for d in everything]
    places = np.arange(len(curves[0])) / grid.cols
    drawn, axes = _each(everything, [(places, curve) for curve in curves])
    for axis in axes:
        axis.set_ylim(0, 100)
        axis.set_xlim(0, places[-1])
    drawn.supxlabel("row of the image", fontsize=9.5)
    drawn.supylabel("tokens that cost no pass of their own, %", fontsize=9.5)
    return drawn


def by_entropy(everything: Sequence[DecoderImages]) -> Any:
    """The share of tokens that cost no pass of their own, by the entropy of p at the token."""
    cuts = bounds(everything, BINS)
    curves = [acceptance_by_entropy(d, cuts) for d in everything]
    drawn, axes = _each(everything, [(c.entropy / np.log(2), 100 * c.accepted) for c in curves], "o")
    for axis in axes:
        axis.set_ylim(0, 100)
        axis.set_xlim(left=0)
    drawn.supxlabel("entropy of the model at the token, bits", fontsize=9.5)
    drawn.supylabel("tokens that cost no pass of their own, %", fontsize=9.5)
    return drawn


def _each(
    everything: Sequence[DecoderImages], curves: Sequence[tuple[Numbers, Numbers]], mark: str = ""
) -> tuple[Any, Any]:
    """A panel for each decoder, with the curves of all."""
    drawn, axes = panels(len(everything), ABREAST, 1.85, 1.5, sharex=True, sharey=True)
    for chosen, (axis, d) in enumerate(zip(axes, everything, strict=True)):
        for number, (x, y) in enumerate(curves):
            if number != chosen:
                axis.plot(x, y, color=RULE, lw=1, zorder=2)
        x, y = curves[chosen]
        axis.plot(x, y, marker=mark or None, ms=3, color=tint(d.decoder, d.lossless), lw=1.8, zorder=3)
        axis.set_title(d.name, fontsize=9.5, color=tint(d.decoder, d.lossless))
        axis.tick_params(labelcolor=FAINT)
    return drawn, axes
