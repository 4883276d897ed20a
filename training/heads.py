"""Attention heads that begin by looking at one neighbour: left, above, and around.

A token of an image follows from its neighbours, and in raster order the one above is a whole row back. Heads find
such distances by themselves, but it takes them thousands of steps. With biases on queries and keys a rotary head can be
told: its scores before any training are a sum of cosines that peaks at one distance, whatever the tokens are.
"""

import torch
from transformers.models.llama.modeling_llama import LlamaModel

STRENGTH = 3.0  # of the biases: three quarters of the attention at the distance asked for


def distances(rows: int) -> list[list[int]]:
    """For the first layers, how far back each of the first heads looks, from the token before the one to predict."""
    above = rows - 1
    return [[above, above + 1, above - 1, 1], [above, 0, above + rows], [above], [above]]


@torch.no_grad()
def look_at_neighbours(model: LlamaModel, rows: int) -> None:
    """Set the biases of queries and keys. Heads that are not named stay free."""
    width = model.config.head_dim or model.config.hidden_size // model.config.num_attention_heads
    turns = model.rotary_emb.inv_freq
    for layer, heads in zip(model.layers, distances(rows), strict=False):
        for head, distance in enumerate(heads):
            query = layer.self_attn.q_proj.bias[head * width : (head + 1) * width]
            key = layer.self_attn.k_proj.bias[head * width : (head + 1) * width]
            query.copy_(STRENGTH * torch.cat([torch.ones_like(turns), torch.zeros_like(turns)]))
            key.copy_(STRENGTH * torch.cat([(turns * distance).cos(), (turns * distance).sin()]))
