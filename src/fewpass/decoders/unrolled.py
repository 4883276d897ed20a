"""Speculative Jacobi decoding as one function, to be read beside the paper.

`fewpass.sjd` is the same algorithm made of parts that other methods share, for batches. Both draw the same tokens.
"""

import torch
from torch import Tensor

from fewpass.core.noise import ACCEPT, CORRECT, FRESH, Noise
from fewpass.core.protocol import Query, Session
from fewpass.core.sampling import Sampler

TINY = 1e-30  # a weight that vanishes beside any other in the rounding of a sum


@torch.inference_mode()
def sjd(session: Session, sampling: Sampler, seed: int, W: int = 15) -> Tensor:
    """Draw one image by speculative Jacobi decoding: arXiv 2410.01699, algorithm 1. Lossless.

    The letters are the paper's: x are the drafts, q the draft distributions, p the target distributions, y the tokens
    after verification, W the window. Positions before n are committed; positions up to `end` have a draft.

    Args:
        session: One prompt, B = 1.
        sampling: Map from logits to probabilities, for example `Sampling(top_k=1000)`.
        seed: Seed of the image, as in `Pipeline`.
        W: Number of drafts per forward pass, >= 0. 0 is autoregression.

    Returns:
        Image tokens [N] int64 in raster order, equal to those of `fewpass.sjd(window=W)` for the same seed.
    """
    grid, device = session.grid, session.first.device
    N, key = grid.size, torch.tensor([seed], device=device)
    noise, p = Noise(key, torch.zeros_like(key)), sampling(session.first)
    x, q = key.new_zeros(1, N + 1), p.new_zeros(1, N + 1, grid.vocab)
    x[:, :1] = noise.gumbel_max(p, key.new_zeros(1, 1))  # the first token is drawn from the prompt's answer
    n = end = 1
    while n < N:
        m = min(n + W, N)  # the window: drafts at positions n ... m - 1

        # Initialise the positions that the window reaches for the first time.
        new = torch.arange(end, max(end, m), device=device)[None]
        q[:, end:m] = grid.force(new, grid.uniform(p).expand(1, new.shape[1], -1))
        x[:, end:m] = noise.draw(q[:, end:m], new, FRESH)

        # One forward pass: p_i = P(. | x_0 ... x_{i-1}) for i = n ... m, all at once.
        index = torch.arange(n, m + 1, device=device)[None]
        noise = Noise(key, noise.step + 1)
        p = sampling(session(Query(x[:, n - 1 : m], index - 1)))

        # Verify from left to right: keep x_i with probability min(1, p_i(x_i) / q_i(x_i)).
        y = noise.draw(p, index, FRESH)  # behind the accepted drafts: new draws, also from outdated p
        u = noise.uniform(index, ACCEPT)[0]
        i = 0
        while i < m - n and u[i] < p[0, i, x[0, n + i]] / q[0, n + i, x[0, n + i]]:
            y[0, i] = x[0, n + i]
            i += 1
        if i < m - n:  # rejected: a draw from the residual (p_i - q_i)+, normalised; from p_i if nothing remains
            residual = (p[:, i : i + 1] - q[:, n + i : n + i + 1]).relu() + TINY * p[:, i : i + 1]
            y[:, i : i + 1] = noise.draw(residual, index[:, i : i + 1], CORRECT)

        x[:, n : m + 1], q[:, n : m + 1] = y, p  # y_i is a draw from p_i, so p_i is its next draft distribution
        n, end = n + i + 1, m + 1  # i accepted drafts and one more token are committed
    return x[0, :N]
