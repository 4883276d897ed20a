"""What the model makes of finished images."""

import torch
from torch import Tensor

from fewpass.decoders import Query
from fewpass.loop import Session
from fewpass.sampling import Law

CHUNK = 64  # positions read in one pass


@torch.inference_mode()
def score(session: Session, law: Law, tokens: Tensor) -> Tensor:
    """Log-probability of each of `tokens` [B, N] under `law`, given those before it: one more reading of the images.

    `session` has just been opened. Where one is not drawn yet, -1, it and all behind it score 0.
    """
    fed = tokens.clamp(min=0).to(session.first.device)
    laws = [law(session.first).gather(-1, fed[:, :1, None])]
    last = session.grid.size - 1
    for start in range(0, last, CHUNK):
        index = torch.arange(start, min(start + CHUNK, last), device=fed.device).expand(len(fed), -1)
        p = law(session(Query(fed.gather(1, index), index)))
        laws.append(p.gather(-1, fed.gather(1, index + 1)[..., None]))
    scores = torch.cat(laws, 1)[..., 0].log().cpu()
    return scores.masked_fill((tokens < 0).cumsum(1) > 0, 0.0)
