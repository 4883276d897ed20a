"""Counter-based random numbers: each is a pure function of (seed, step, position, tag).

So an image does not depend on its batch, fixed noise takes no memory, and autoregression and Jacobi decoding under
fixed noise give the same tokens.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GOLDEN = -0x61C8864680B583EB  # 2**64 / golden ratio: successive multiples are far apart in every bit
ACCEPT, CORRECT, FRESH, GUMBEL = range(4)  # uses of a number; no use occurs twice at one (step, position)
BLOCK = 64  # tokens of the vocabulary whose mass is summed up before one of them is drawn


def mix(x: Tensor) -> Tensor:
    """The finaliser of splitmix64, a mixer of 64 bits, on wrapping int64."""
    x = (x ^ _shift(x, 30)) * -0x40A7B892E31B1A47
    x ^= _shift(x, 27)
    x *= -0x6B2FB644ECCEEE15
    x ^= _shift(x, 31)
    return x


def bits(x: Tensor) -> Tensor:
    """The upper 40 bits, the best mixed ones."""
    return _shift(x, 24)


def _shift(x: Tensor, by: int) -> Tensor:
    """To the right: the mask turns an arithmetic shift into a logical one."""
    x = x >> by
    x &= (1 << 64 - by) - 1
    return x


def _invert(mass: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Where the share u [..., 1] of all mass [..., n] is reached, and how far into the mass there, from 0 to 1."""
    cdf = mass.cumsum(-1, dtype=torch.float64)
    target = u * cdf[..., -1:]
    at = torch.searchsorted(cdf, target, right=True).clamp_(max=mass.shape[-1] - 1)  # no mass at all: any token
    here = mass.gather(-1, at).double()
    into = (target - cdf.gather(-1, at) + here) / here.clamp(min=torch.finfo(torch.float64).tiny)
    return into.clamp_(0, 1 - 2.0**-52), at


@dataclass(frozen=True, eq=False)
class Noise:
    """The random numbers of one pass.

    `seeds` [B] int64; `step` [B] int64, the passes of each image so far, so that an image that joins a batch late is
    drawn as if alone.
    """

    seeds: Tensor
    step: Tensor

    def _key(self, step: Tensor | int, index: Tensor, tag: Tensor | int) -> Tensor:
        stream = mix((mix(self.seeds) + 8 * step)[:, None] + tag)
        return mix(mix(stream) + index)  # [B, n]

    def uniform(self, index: Tensor, tag: Tensor | int) -> Tensor:
        """U(0, 1), both ends open, one number for each image position: `index` [B, n] -> float64 [B, n].

        `tag` is the use of them all, or [B, n] of each.
        """
        return (bits(self._key(self.step, index, tag)).double() + 0.5) * 2.0**-40

    def draw(self, p: Tensor, index: Tensor, tag: Tensor | int) -> Tensor:
        """One token from each distribution `p` [B, n, V], up to a factor: inverse transform of one uniform.

        First a block of tokens, then one of its tokens: to cumulate the whole vocabulary would cost more than all the
        rest of a pass. The first one whose cumulated mass exceeds u has mass itself, so none of probability 0 is ever
        drawn.
        """
        width = min(BLOCK, p.shape[-1])
        short = -p.shape[-1] % width
        blocks = (F.pad(p, (0, short)) if short else p).unflatten(-1, (-1, width))
        target, block = _invert(blocks.sum(-1), self.uniform(index, tag)[..., None])
        inside = blocks.gather(-2, block[..., None].expand(*block.shape, width))[..., 0, :]
        _, token = _invert(inside, target)
        token += block * width
        return token[..., 0].clamp_(max=p.shape[-1] - 1)  # a token even where p is NaN, and nothing is drawn

    def gumbel_max(self, p: Tensor, index: Tensor) -> Tensor:
        """One token from each distribution `p` [B, n, V] under fixed noise: argmax_v p(v) / e(v), Gumbel-max.

        The exponential noise e is tied to (seed, position, token), not to the step: distributions that differ little
        give the same token, pass after pass. arXiv 2002.09928; arXiv 2510.24211, section on Gumbel coupling.
        """
        return (p / self.exponentials(index, p.shape[-1])).argmax(-1)

    def exponentials(self, index: Tensor, V: int) -> Tensor:
        """The noise e of `gumbel_max` at the positions `index` [B, n], for V tokens: [B, n, V] float32."""
        x = self._key(0, index, GUMBEL)[..., None] + torch.arange(V, device=index.device) * GOLDEN
        # float32 keeps its full relative precision near 0, where the largest scores come from; 1 itself would make e
        # infinite and could let a token of probability 0 have the largest.
        u = bits(mix(x)).float().add_(0.5).mul_(2.0**-40).clamp_(max=1 - 2.0**-24)
        return u.neg_().log1p_().neg_()
