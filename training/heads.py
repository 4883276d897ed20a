"""Attention heads that attend to one neighbour from the start: left, above, or diagonally above.

A token of an image depends on its neighbours, and in raster order the one above is a whole row back. Without help,
attention heads need thousands of steps to find such distances. Biases on queries and keys of a rotary head set its
distance: its scores before training are a sum of cosines with a maximum at this distance, for all tokens.
"""

import torch
from transformers.models.llama.modeling_llama import LlamaModel

STRENGTH = 3.0  # of the biases: gives three quarters of the attention to the chosen distance


def distances(rows: int) -> list[list[int]]:
    """Distances from the input token back to the one attended to, for the first heads of the first layers."""
    above = rows - 1
    return [[above, above + 1, above - 1, 1], [above, 0, above + rows], [above], [above]]


@torch.no_grad()
def look_at_neighbours(model: LlamaModel, rows: int) -> None:
    """Set the biases of queries and keys of the heads that `distances` lists."""
    width = model.config.head_dim or model.config.hidden_size // model.config.num_attention_heads
    turns = model.rotary_emb.inv_freq
    for layer, heads in zip(model.layers, distances(rows), strict=False):
        for head, distance in enumerate(heads):
            query = layer.self_attn.q_proj.bias[head * width : (head + 1) * width]
            key = layer.self_attn.k_proj.bias[head * width : (head + 1) * width]
            query.copy_(STRENGTH * torch.cat([torch.ones_like(turns), torch.zeros_like(turns)]))
            key.copy_(STRENGTH * torch.cat([(turns * distance).cos(), (turns * distance).sin()]))
