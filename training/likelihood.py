"""What the transformer is trained on and measured by."""

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import JanusForConditionalGeneration

EMPHASIS = 8.0  # of what a thing looks like over whether it is there


def loss_of(model: JanusForConditionalGeneration, ids: Tensor, tokens: Tensor, blank: Tensor | None = None) -> Tensor:
    """Nats per image token after prompts [B, P] for tokens [B, N]; with `blank` [B, N], `emphasised`."""
    prompt = model.get_input_embeddings()(ids)
    image = model.prepare_embeddings_for_image_generation(tokens[:, :-1])
    hidden = model.model.language_model(inputs_embeds=torch.cat([prompt, image], dim=1), use_cache=False)
    logits = model.model.generation_head(hidden.last_hidden_state[:, ids.shape[1] - 1 :]).float()
    if blank is None:
        return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    return emphasised(logits, tokens, blank).mean()


def emphasised(logits: Tensor, tokens: Tensor, blank: Tensor) -> Tensor:
    """Nats [B, N] of tokens under logits [B, N, V], where `blank` are the tokens of the background alone.

    Once its first tokens are there, the rest of a thing follows from them; so its name decides one token in a hundred,
    and is learned last. Here log p(x) is split into log p(there is a thing) + log p(x | there is a thing), and the
    second counts EMPHASIS times. The law that fits best stays the same: a weight must not depend on what it weighs, and
    a plain one for the tokens of things made things come too often.
    """
    p = logits.log_softmax(-1)
    x, nothing = (p.gather(-1, each[..., None])[..., 0] for each in (tokens, blank))
    something = torch.log1p(-nothing.exp().clamp(max=1 - 1e-6))
    return -torch.where(tokens == blank, x, something + EMPHASIS * (x - something))
