"""A small sampler for monitoring: one token at a time, with guidance. The sampler of the library is in `fewpass`."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache, JanusForConditionalGeneration

from fewpass.runtime.transformer import cache_argument

from .presets import GUIDANCE
from .words import PAD, encode, token_ids, unconditional


def rows(prompts: list[str]) -> tuple[Tensor, Tensor]:
    """Ids and attention mask [2B, P]: conditional rows, then unconditional ones, padded at the left as Janus does."""
    ids = [encode(prompt) for prompt in prompts]
    ids += [unconditional(row) for row in ids]
    longest = max(map(len, ids))
    padded = [[token_ids()[PAD]] * (longest - len(row)) + row for row in ids]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in ids]
    return torch.tensor(padded), torch.tensor(mask)


@torch.no_grad()
def draw(
    model: JanusForConditionalGeneration,
    prompts: list[str],
    guidance: float = GUIDANCE,
    temperature: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """Image tokens [B, N] on the CPU."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    ids, mask = (t.to(device) for t in rows(prompts))
    body, cache, drawn = model.model.language_model, DynamicCache(config=model.config.text_config), []
    inputs, position = model.get_input_embeddings()(ids), (mask.cumsum(-1) - 1).clamp(min=0)
    for _ in range(model.config.vision_config.num_image_tokens):
        held = {cache_argument(body): cache}
        hidden = body(inputs_embeds=inputs, attention_mask=mask, position_ids=position, use_cache=True, **held)
        logits = model.model.generation_head(hidden.last_hidden_state[:, -1]).float()
        cond, uncond = logits.chunk(2)
        p = torch.softmax((uncond + guidance * (cond - uncond)) / temperature, dim=-1)
        drawn.append(torch.multinomial(p, 1, generator=generator))
        inputs = model.prepare_embeddings_for_image_generation(drawn[-1].repeat(2, 1))
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        position = position[:, -1:] + 1
    return torch.cat(drawn, dim=1).cpu()


@torch.no_grad()
def decode(model: JanusForConditionalGeneration, tokens: Tensor) -> np.ndarray:
    """Pixels uint8 [B, H, W, 3]."""
    device = next(model.parameters()).device
    parts = [model.decode_image_tokens(chunk.to(device)) for chunk in tokens.split(16)]
    return ((torch.cat(parts).float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()


def save_sheet(images: np.ndarray, path: Path, columns: int = 8) -> None:
    """The images side by side, in the order of their prompts."""
    blank = np.zeros_like(images[:1]).repeat(-len(images) % columns, 0)
    grid = np.concatenate([images, blank])
    lines = [np.concatenate(list(grid[i : i + columns]), axis=1) for i in range(0, len(grid), columns)]
    Image.fromarray(np.concatenate(lines)).save(path)
