"""The k largest numbers of each row."""

import numpy as np
import torch
from torch import Tensor


def found(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where `mask` [n, V] is true: places in the flattened matrix, in order, and how many of them each row has [n]."""
    at = np.flatnonzero(mask)
    return at, np.diff(np.searchsorted(at, np.arange(0, mask.size + 1, mask.shape[1])))


BLOCK = 8  # rows with fewer numbers for each that is kept are not worth a first look


def largest(logits: Tensor, k: int) -> Tensor:
    """The k largest of each row [..., V] and what ties with the k-th, the others -inf.

    Where NumPy can look, it is used: it finds the k-th, compares and fills several times faster than torch on a CPU.
    """
    if logits.device.type == "cpu" and logits.dtype in (torch.float32, torch.float64):
        x = logits.detach().numpy()
        among = _among_few if BLOCK * k <= x.shape[-1] else _among_all
        return torch.from_numpy(among(x.reshape(-1, x.shape[-1]), k).reshape(x.shape))
    return torch.where(logits < logits.topk(k, sorted=False).values.amin(-1, keepdim=True), -torch.inf, logits)


def _among_all(x: np.ndarray, k: int) -> np.ndarray:
    return np.where(x < _kth(x, k), x.dtype.type(-np.inf), x)


def _among_few(x: np.ndarray, k: int) -> np.ndarray:
    """Looks closely only at what is not below `_bound`: a third more than k numbers, if they lie in no order.

    What is not a number is not below anything: it stays, and is seen in the law.
    """
    at, counts = found(~(x < np.maximum(_bound(x, k), np.finfo(x.dtype).min)))  # what is forbidden is -inf already
    few = x.ravel()[at]
    rows = np.full((len(x), counts.max(initial=k)), -np.inf, x.dtype)
    rows[np.arange(rows.shape[1]) < counts[:, None]] = few
    kept = ~(few < _kth(rows, k)[:, 0].repeat(counts))
    left = np.full(x.shape, -np.inf, x.dtype)
    left.ravel()[at[kept]] = few[kept]
    return left


def _bound(x: np.ndarray, k: int) -> np.ndarray:
    """Something that k numbers of each row [n, V] reach: k of some 2k blocks do, each with its largest. [n, 1]"""
    size = x.shape[1] // (2 * k)
    blocks = x.shape[1] // size
    apart = x[:, : blocks * size].reshape(len(x), size, blocks)  # numbers of a block do not lie side by side
    return _kth(apart.max(1), k)


def _kth(x: np.ndarray, k: int) -> np.ndarray:
    """The k-th largest number of each row: [n, V] -> [n, 1]."""
    return np.partition(x, -k)[:, -k, None]
