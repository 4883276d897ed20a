"""What the transformer is trained on and measured by."""

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import JanusForConditionalGeneration


def loss_of(model: JanusForConditionalGeneration, ids: Tensor, tokens: Tensor, weights: Tensor | None = None) -> Tensor:
    """Nats per image token after prompts [B, P] for tokens [B, N]; their mean, by `weights` [B, N] where given."""
    prompt = model.get_input_embeddings()(ids)
    image = model.prepare_embeddings_for_image_generation(tokens[:, :-1])
    hidden = model.model.language_model(inputs_embeds=torch.cat([prompt, image], dim=1), use_cache=False)
    logits = model.model.generation_head(hidden.last_hidden_state[:, ids.shape[1] - 1 :])
    nats = F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten(), reduction="none")
    return nats.mean() if weights is None else (nats * weights.flatten()).sum() / weights.sum()
