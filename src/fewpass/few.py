"""The few numbers of a matrix that matter, one row after the other, where NumPy can look."""

import numpy as np


def found(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where `mask` [n, V] is true: places in the flattened matrix, in order, and how many of them each row has [n]."""
    at = np.flatnonzero(mask)
    return at, np.diff(np.searchsorted(at, np.arange(0, mask.size + 1, mask.shape[1])))
