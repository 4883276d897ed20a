"""The exponential race: one token from each law, argmax_v p(v) / e(v). The Gumbel trick, arXiv 2002.09928."""

import numpy as np
import torch
from torch import Tensor

from fewpass.core.splitmix import GOLDEN, Numbers, bits, mix
from fewpass.core.topk import found

TOGETHER = 1 << 16  # runners at a time: their numbers stay in the processor's cache


def gumbel_max(p: Tensor, key: Tensor | np.ndarray) -> Tensor:
    """The winners [B, n] under laws `p` [B, n, V], with the noise that belongs to `key` [B, n] int64.

    A token's noise is that of its key and its number alone. So on a CPU, where it is worth while, those of
    probability 0 do not run: what top-k, top-p or the layout leave of a vocabulary is often a small part.
    """
    if isinstance(key, np.ndarray):
        return torch.from_numpy(_winners(p.numpy().reshape(-1, p.shape[-1]), key.ravel())).view(key.shape)
    return _speed(p, key[..., None] + torch.arange(p.shape[-1], device=p.device) * GOLDEN).argmax(-1)


def _speed(p: Tensor, x: Numbers) -> Tensor:
    """p / e, where e is the exponential number of x, 64 bits that are yet to be mixed."""
    # float32 keeps its full relative precision near 0, where races are won; 1 itself would make e infinite
    # and could let a token of probability 0 win.
    u = bits(mix(x)).float().add_(0.5).mul_(2.0**-40).clamp_(max=1 - 2.0**-24)
    return p / u.neg_().log1p_().neg_()


def _winners(p: np.ndarray, key: np.ndarray) -> np.ndarray:
    """[n, V], [n] -> [n], as many rows at a time as have TOGETHER runners."""
    winner = np.empty(len(p), np.int64)
    each = int(np.count_nonzero(p != 0)) // max(len(p), 1) + 1  # runners of a row
    run = _some if 4 * each < p.shape[1] else _all  # to find them takes time as well
    step = max(TOGETHER // each, 1)
    for i in range(0, len(p), step):
        winner[i : i + step] = run(p[i : i + step], key[i : i + step])
    return winner


def _all(p: np.ndarray, key: np.ndarray) -> np.ndarray:
    x = key[:, None] + np.arange(p.shape[1]) * GOLDEN
    return _speed(torch.from_numpy(p), x).numpy().argmax(-1)


def _some(p: np.ndarray, key: np.ndarray) -> np.ndarray:
    at, counts = found(p != 0)
    start = np.arange(0, p.size, p.shape[1])  # what `at` counts of the rows before
    x = (key - start * GOLDEN).repeat(counts) + at * GOLDEN
    speed = np.zeros(p.shape, p.dtype)
    speed.ravel()[at] = _speed(torch.from_numpy(p.ravel()[at]), x).numpy()
    return speed.argmax(-1)
