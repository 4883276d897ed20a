"""Grids from sizes in pixels, and sizes from the names of models whose files do not hold them."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import torch

from fewpass.core.canvas import Grid


def cells(size: tuple[int, int], edge: int, name: str) -> tuple[int, int]:
    """Rows and columns of an image of `size` (width, height) made of squares of `edge` pixels.

    Raises ValueError if it cannot be.
    """
    width, height = size
    if min(size) < edge or width % edge or height % edge:
        raise ValueError(f"{name} draws sizes that are multiples of {edge}, not {width}x{height}")
    return height // edge, width // edge


def own_name(name: str) -> str:
    """The last part of a model's name: that of a folder, file or repository, also in the hub's cache."""
    path = Path(os.path.abspath(name))
    repository = re.search(r"/models--(?:.*--)?([^/]+)/snapshots/[^/]+$", path.as_posix())
    return repository[1] if repository else path.name


def side_in(name: str, sides: Iterable[int]) -> int:
    """The one of `sides`, in pixels, that stands in a model's name as 512, 512px or 512x512; 0 for none or several."""
    words = re.split("[^0-9A-Za-z]+", name)
    found = {side for side in sides for word in words if word in (f"{side}", f"{side}px", f"{side}x{side}")}
    return found.pop() if len(found) == 1 else 0


def size_or(size: tuple[int, int] | None, side: int, name: str) -> tuple[int, int]:
    """The requested `size`, else a square of the `side` that a model was trained for.

    Raises ValueError if neither is known.
    """
    if size is None and not side:
        raise ValueError(f"the name of {name} does not contain the size it was trained for: give the size")
    return size or (side, side)


def with_row_ends(rows: int, cols: int, codes: int) -> Grid:
    """A grid whose every row of codes is closed by a row end, the one symbol behind the codes."""
    free = torch.full((rows, cols), -1)
    forced = torch.cat([free, torch.full((rows, 1), codes)], 1).flatten()
    return Grid(rows, cols + 1, codes + 1, codes, forced)
