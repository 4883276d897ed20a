"""What the transformer is trained on and measured by."""

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import JanusForConditionalGeneration

EMPHASIS = 3.0  # of what a thing looks like over whether it is there


def logits_of(model: JanusForConditionalGeneration, ids: Tensor, tokens: Tensor) -> Tensor:
    """Logits [B, N, V] of tokens [B, N] after prompts [B, P]."""
    prompt = model.get_input_embeddings()(ids)
    image = model.prepare_embeddings_for_image_generation(tokens[:, :-1])
    hidden = model.model.language_model(inputs_embeds=torch.cat([prompt, image], dim=1), use_cache=False)
    return model.model.generation_head(hidden.last_hidden_state[:, ids.shape[1] - 1 :]).float()


def loss_of(model: JanusForConditionalGeneration, ids: Tensor, tokens: Tensor, *law: Tensor) -> Tensor:
    """Nats per image token after prompts [B, P] for tokens [B, N]; with a law of the next token, `emphasised`."""
    logits = logits_of(model, ids, tokens)
    return emphasised(logits, *law).mean() if law else F.cross_entropy(logits.flatten(0, 1), tokens.flatten())


def emphasised(logits: Tensor, ways: Tensor, p: Tensor) -> Tensor:
    """Nats [B, N] under logits [B, N, V] of a next token of `ways` [B, N, K], the background's first, with chances p.

    Once its first tokens are there, the rest of a thing follows from them; so its name decides one token in a hundred,
    and is learned last. Here log p(x) is split into log p(there is a thing) + log p(x | there is a thing), and the
    second counts EMPHASIS times. The law that fits best stays the same: a weight must not depend on what it weighs, and
    a plain one for the tokens of things made things come too often.
    """
    whether, which = split(logits, ways, p)
    return whether + EMPHASIS * which


def split(logits: Tensor, ways: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """The nats of `emphasised` for whether there is a thing, and for which, given that there is one: both [B, N]."""
    nats = -logits.log_softmax(-1).gather(-1, ways)
    nothing = nats[..., 0]
    something = -torch.log1p(-(-nothing).exp().clamp(max=1 - 1e-6))
    whether = p[..., 0] * nothing + p[..., 1:].sum(-1) * something
    return whether, (p[..., 1:] * (nats[..., 1:] - something[..., None])).sum(-1)


def excess(logits: Tensor, ways: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """How much of `split` the true law would have been spared: Kullback-Leibler divergences [B, N], in nats."""
    something = p[..., 1:].sum(-1)
    entropy = -(torch.xlogy(p, p).sum(-1))
    coin = -torch.xlogy(p[..., 0], p[..., 0]) - torch.xlogy(something, something)
    whether, which = split(logits, ways, p)
    return whether - coin, which - (entropy - coin)
