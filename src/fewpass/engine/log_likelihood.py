"""Log-probabilities and entropies of finished images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fewpass.core.errors import not_finite
from fewpass.core.protocol import Query, Session
from fewpass.core.sampling import Sampler

CHUNK = 64  # positions read in one pass


@dataclass(frozen=True, eq=False)
class Reading:
    """`logprobs` [B, N] of the tokens, each given those before it, and the `entropy` [B, N] of its distribution: nats.

    Where a token is not drawn yet, and behind it, both are 0.
    """

    logprobs: Tensor
    entropy: Tensor


@torch.inference_mode()
def read(session: Session, sampling: Sampler, tokens: Tensor) -> Reading:
    """Read finished images, `tokens` [B, N], once more; -1 is a token that is not drawn yet.

    `session` has just been opened. Raises ModelError for logits that give no probabilities.
    """
    fed = tokens.clamp(min=0).to(session.first.device)
    parts = [_seen(sampling(session.first), fed[:, :1])]
    last = session.grid.size - 1
    for start in range(0, last, CHUNK):
        index = torch.arange(start, min(start + CHUNK, last), device=fed.device).expand(len(fed), -1)
        parts.append(_seen(sampling(session(Query(fed.gather(1, index), index))), fed.gather(1, index + 1)))
    behind = (tokens < 0).cumsum(1) > 0
    logprobs, entropy = (torch.cat(part, 1).cpu().masked_fill(behind, 0.0) for part in zip(*parts, strict=True))
    if logprobs.isnan().any():
        raise not_finite("logits", "NaN or inf", getattr(session, "dtype", session.first.dtype))
    return Reading(logprobs, entropy)


def _seen(p: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Of distributions p [B, n, V]: the log-probabilities of `tokens` [B, n], and the entropies [B, n]."""
    return p.gather(-1, tokens[..., None])[..., 0].log(), torch.special.entr(p).sum(-1)
