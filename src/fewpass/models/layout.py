"""Grids from sizes in pixels."""

import torch

from fewpass.canvas import Grid


def cells(size: tuple[int, int], edge: int, name: str) -> tuple[int, int]:
    """Rows and columns of an image of `size` (width, height) made of squares of `edge` pixels.

    Raises ValueError if it cannot be.
    """
    width, height = size
    if min(size) < edge or width % edge or height % edge:
        raise ValueError(f"{name} draws sizes that are multiples of {edge}, not {width}x{height}")
    return height // edge, width // edge


def with_row_ends(rows: int, cols: int, codes: int) -> Grid:
    """A grid whose every row of codes is closed by a row end, the one symbol behind the codes."""
    free = torch.full((rows, cols), -1)
    forced = torch.cat([free, torch.full((rows, 1), codes)], 1).flatten()
    return Grid(rows, cols + 1, codes + 1, codes, forced)
