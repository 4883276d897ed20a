"""The loss of the transformer, and its divergence from the true distribution."""

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import JanusForConditionalGeneration

EMPHASIS = 3.0  # loss weight of which thing begins, relative to whether one begins


def logits_of(model: JanusForConditionalGeneration, ids: Tensor, tokens: Tensor) -> Tensor:
    """Logits [B, N, V] of tokens [B, N] after prompts [B, P]."""
    prompt = model.get_input_embeddings()(ids)
    image = model.prepare_embeddings_for_image_generation(tokens[:, :-1])
    hidden = model.model.language_model(inputs_embeds=torch.cat([prompt, image], dim=1), use_cache=False)
    return model.model.generation_head(hidden.last_hidden_state[:, ids.shape[1] - 1 :]).float()


def loss_of(model: JanusForConditionalGeneration, ids: Tensor, tokens: Tensor, *target: Tensor) -> Tensor:
    """Nats per token of images [B, N] with prompts [B, P]; `emphasised` if `target` is candidates and probabilities."""
    logits = logits_of(model, ids, tokens)
    return emphasised(logits, *target).mean() if target else F.cross_entropy(logits.flatten(0, 1), tokens.flatten())


def emphasised(logits: Tensor, candidates: Tensor, p: Tensor) -> Tensor:
    """Weighted cross-entropy [B, N] in nats, of logits [B, N, V] and the true distribution of the next token.

    After the first tokens of a thing the others are determined, so that which thing it is affects one token in a
    hundred and is slow to train. Here log q(x) = log q(there is a thing) + log q(x | there is a thing), and the second
    term has the weight EMPHASIS. The minimum stays at the true distribution. It did not when all tokens of things
    had a larger weight: the weight then depended on the outcome, and the model drew too many things.

    Args:
        logits: Of the model, [B, N, V].
        candidates: Tokens that may come next [B, N, K], the background's first.
        p: Their probabilities [B, N, K].
    """
    whether, which = split(logits, candidates, p)
    return whether + EMPHASIS * which


def split(logits: Tensor, candidates: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """The terms of `emphasised` without weight: whether there is a thing, and which, if there is one: [B, N] each."""
    nats = -logits.log_softmax(-1).gather(-1, candidates)
    nothing = nats[..., 0]
    something = -torch.log1p(-(-nothing).exp().clamp(max=1 - 1e-6))
    whether = p[..., 0] * nothing + p[..., 1:].sum(-1) * something
    return whether, (p[..., 1:] * (nats[..., 1:] - something[..., None])).sum(-1)


def excess(logits: Tensor, candidates: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """`split` less its value at the true distribution: two Kullback-Leibler divergences [B, N], in nats."""
    something = p[..., 1:].sum(-1)
    entropy = -(torch.xlogy(p, p).sum(-1))
    coin = -torch.xlogy(p[..., 0], p[..., 0]) - torch.xlogy(something, something)
    whether, which = split(logits, candidates, p)
    return whether - coin, which - (entropy - coin)
