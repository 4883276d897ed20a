"""The contract between model families and decoders, checked on any checkpoint."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from fewpass.core.canvas import FAULTS, Grid, faults_of
from fewpass.models.base import Model
from fewpass.testing.description import Line
from fewpass.testing.probe import Probe, forced, guided, overwritten, together, uncached

SIZES = ((128, 128), (192, 128), (128, 192))  # pixels; the model's own size if none fits
CHECKS: dict[str, Callable[[Probe], tuple[Tensor, Tensor] | None]] = {
    "one token at a time = one reading without a cache": uncached,
    "slots written before = fresh slots": overwritten,
    "prompts of different lengths together = each alone": together,
    "guided = its rows mixed by hand": guided,
    "tokens that the layout dictates are certain": forced,
}
EXACT = (torch.float32, torch.float64)
WINDOWS = (1, 4)  # and the whole image


@dataclass(frozen=True)
class Finding:
    """`error` is the largest difference of logits in units of the largest logit, or the share of unequal tokens.

    A `limit` of None: the figure is for information.
    """

    what: str
    grid: str
    error: float
    limit: float | None

    @property
    def passed(self) -> bool:
        """Within the limit, or without one."""
        return self.limit is None or self.error <= self.limit


def check_model(model: Model, grids: Sequence[Grid] | None = None, seed: int = 0) -> list[Finding]:
    """Check that a model of any family meets the decoders' contract, with random prompts and tokens.

    `grids` are the layouts to check it on; by default some small ones, square and not, if the model draws them. Raises
    ModelError for logits that contain NaN or +inf.
    """
    with torch.inference_mode():
        return [finding for grid in grids or layouts(model) for finding in _findings(model, grid, seed)]


def numbers(model: Model, grid: Grid, prompt: str) -> Iterator[Line]:
    """Are weights finite, and the logits behind a prompt, with the model's own guidance and random codes?"""
    dtype = str(model.model.dtype).removeprefix("torch.")
    weights = [(name, weight) for name, weight in model.model.named_parameters() if not weight.is_meta]
    bad = [name for name, weight in weights if not weight.isfinite().all()]
    named = f"NaN or inf in {len(bad)} of {len(weights)} tensors: {', '.join(bad[:3])}" if bad else "finite"
    yield Line("numbers", f"weights in {dtype}", named, not bad)
    yield Line("numbers", f"logits in {dtype}", *_logits(Probe(model, grid, 0), prompt))


def _logits(probe: Probe, prompt: str) -> tuple[str, bool]:
    try:
        logits = probe.read([prompt], probe.images[:1], probe.model.guidance)
    except ValueError as error:
        return f"not computed: {error}", False
    faults, size = faults_of(logits), probe.grid.size
    counts = [f"{fault} at {int((faults == i).sum())}" for i, fault in enumerate(FAULTS) if i and (faults == i).any()]
    if counts:
        return f"{', '.join(counts)} of {size} positions", False
    return f"finite at all {size} positions, the largest {float(logits[logits.isfinite()].abs().max()):.4g}", True


def layouts(model: Model, size: tuple[int, int] | None = None) -> list[Grid]:
    """The layouts to check a model on: the one of this size, or of some small ones, or the model's own."""
    if size is not None:
        return [model.grid(size)]
    found, prompt = [], max(map(len, Probe(model, Grid(1, 1, 1), 0).prompts))
    for size in SIZES:
        with suppress(ValueError):
            found.append(model.grid(size))
    return [grid for grid in found if prompt + grid.size <= model.context] or [model.grid(None)]


def _findings(model: Model, grid: Grid, seed: int) -> Iterator[Finding]:
    probe, shape = Probe(model, grid, seed), " + ".join(f"{rows}x{cols}" for rows, cols in grid.grids)
    exact = model.model.dtype in EXACT
    near = 1e-4 if exact else 0.1
    for what, check in CHECKS.items():
        answers = check(probe)
        if answers is not None:
            yield Finding(what, shape, difference(*answers), near)
    drawn = probe.draw(0)
    for window in (*WINDOWS, grid.size - 1):
        unequal = (probe.draw(window) != drawn).double().mean().item()
        yield Finding(f"fixed noise: window {window} = autoregression", shape, unequal, 0.0 if exact else None)


def difference(these: Tensor, those: Tensor) -> float:
    """The largest difference of logits, in units of the largest; infinite if not the same ones are -inf."""
    finite = these.isfinite() & those.isfinite()
    if ((these != those) & ~finite).any():
        return float("inf")
    scale = those[finite].abs().max().clamp(min=1e-6)
    return float((these - those)[finite].abs().max() / scale)
