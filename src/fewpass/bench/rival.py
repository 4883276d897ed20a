"""The same weights in the hands of transformers: its own `generate`, for the families where that draws images."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from fewpass.bench.clock import now
from fewpass.bench.drawing import Drawn
from fewpass.bench.memory import Peak
from fewpass.bench.task import Task
from fewpass.models.emu3 import Emu3
from fewpass.models.janus import Janus

NAME = "transformers"
Rival = Callable[[int], Drawn]  # draws the image of that number


def rival_of(task: Task) -> Rival:
    """Raises ValueError saying why there is none."""
    match task.model:
        case Janus() if task.settings.guidance == 1:
            raise ValueError("generate of Janus needs guidance: with a scale of 1 it fails")
        case Janus():
            return lambda number: _janus(task, task.model, number)
        case Emu3():
            return lambda number: _emu3(task, task.model, number)
    raise ValueError("transformers does not draw images with models of this family")


def _law(task: Task) -> dict[str, Any]:
    law, scale = task.law, task.settings.guidance
    guided = {"guidance_scale": scale} if scale != 1 else {}
    if law.temperature == 0:
        return {"do_sample": False, **guided}
    return {"do_sample": True, **asdict(law), **guided}


@torch.inference_mode()
def _janus(task: Task, model: Any, number: int) -> Drawn:
    network, device = model.model, model.device
    peak, started = Peak(device), now(device)
    torch.manual_seed(number)
    ids = model.read(task.prompts[number % len(task.prompts)], None, task.settings.grid, 1)[0][None]
    codes = network.generate(ids, attention_mask=torch.ones_like(ids), generation_mode="image", **_law(task))
    drawn = now(device)
    network.decode_image_tokens(codes).cpu()
    return Drawn((codes.shape[1],), None, drawn - started, now(device) - drawn, peak.bytes)


@torch.inference_mode()
def _emu3(task: Task, model: Any, number: int) -> Drawn:
    """As the family's documentation has it: what may come at each position is said by a function of the prefix."""
    grid, network, device = task.settings.grid, model.model, model.device
    words = model.vocabulary.ids.tolist()
    codes, row_end = sorted(words[: model.codes]), words[model.codes]
    peak, started = Peak(device), now(device)
    torch.manual_seed(number)
    prompt = task.prompts[number % len(task.prompts)]
    ids, *contrast = (row[None] for row in model.read(prompt, None, grid, task.settings.guidance))

    def allowed(image: int, prefix: torch.Tensor) -> list[int]:
        return [row_end] if (len(prefix) - ids.shape[1] + 1) % grid.cols == 0 else codes

    negative = {}
    if contrast:
        mask = torch.ones_like(contrast[0])
        negative = {"negative_prompt_ids": contrast[0], "negative_prompt_attention_mask": mask}
    length = {"max_new_tokens": grid.size, "min_new_tokens": grid.size}
    tokens = network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        prefix_allowed_tokens_fn=allowed,
        **length,
        **negative,
        **_law(task),
    )[:, ids.shape[1] :]
    drawn = now(device)
    closed = torch.cat([tokens, tokens.new_tensor([model.closing])], 1)
    network.decode_image_tokens(image_tokens=closed, height=grid.rows, width=grid.cols - 1)
    return Drawn((tokens.shape[1],), None, drawn - started, now(device) - drawn, peak.bytes)
