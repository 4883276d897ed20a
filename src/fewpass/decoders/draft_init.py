"""What to expect at positions the window has just reached: a law, from which the guess is then drawn.

Guesses are always drawn from the law they are labelled with, so any guess keeps the decoder lossless; a better one
only keeps more drafts. The five of SJD, arXiv 2410.01699, section 3.3. `index` [B, n] are the new positions, `last`
[B, 1] the newest position that already has a token and a law; the answer is [B, n, V].
"""

from collections.abc import Callable

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.messages import shown
from fewpass.decoders.proposals import Laws

Guess = Callable[[Canvas, Laws, Tensor, Tensor], Tensor]


def uniform(canvas: Canvas, laws: Laws, index: Tensor, last: Tensor) -> Tensor:
    """Any code, equally likely."""
    law = canvas.grid.uniform(laws.ring)
    return law.expand(*index.shape, -1)


def left(canvas: Canvas, laws: Laws, index: Tensor, last: Tensor) -> Tensor:
    """Repeat the nearest token to the left in the same row."""
    beside, known = _left(canvas, index, last)
    return _where(known, canvas.grid.certain(canvas.read(beside), laws.ring), canvas)


def left_sample(canvas: Canvas, laws: Laws, index: Tensor, last: Tensor) -> Tensor:
    """Draw from the law of the nearest position to the left in the same row."""
    beside, known = _left(canvas, index, last)
    return _where(known, laws.read(beside), canvas)


def above(canvas: Canvas, laws: Laws, index: Tensor, last: Tensor) -> Tensor:
    """Repeat the token one row up."""
    over, known = _above(canvas, index, last)
    return _where(known, canvas.grid.certain(canvas.read(over), laws.ring), canvas)


def above_sample(canvas: Canvas, laws: Laws, index: Tensor, last: Tensor) -> Tensor:
    """Draw from the law of the position one row up."""
    over, known = _above(canvas, index, last)
    return _where(known, laws.read(over), canvas)


def _left(canvas: Canvas, index: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    beside = torch.minimum(index - 1, last)
    into, width = canvas.grid.place(index)
    return beside, index - beside <= into % width


def _above(canvas: Canvas, index: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    into, width = canvas.grid.place(index)
    over = index - width
    known = (into >= width) & (over <= last)
    return torch.where(known, over, last), known


def _where(known: Tensor, law: Tensor, canvas: Canvas) -> Tensor:
    """Where there is no such neighbour, know nothing."""
    return torch.where(known[..., None], law, canvas.grid.uniform(law))


GUESSES: dict[str, Guess] = {f.__name__: f for f in (uniform, left, left_sample, above, above_sample)}


def named(name: str) -> Guess:
    """One of the five by its name. Raises ValueError naming the one that does not exist."""
    if name not in GUESSES:
        raise ValueError(f"guess must be one of {', '.join(GUESSES)}, not {shown(name)}")
    return GUESSES[name]
