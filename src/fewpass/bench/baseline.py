"""The baseline: transformers' own `generate` with the same weights, for Janus."""

from collections.abc import Callable
from dataclasses import asdict

import torch

from fewpass.bench.task import Task
from fewpass.bench.timing import Drawn, Stopwatch
from fewpass.models.janus import Janus

NAME = "transformers"
Baseline = Callable[[int], Drawn]  # draws the image of that number


def baseline_of(task: Task) -> Baseline:
    """The baseline for a task. Raises ValueError if transformers does not draw such images."""
    if not isinstance(task.model, Janus):
        raise ValueError("its images can be compared for models of the family Janus only")
    if task.settings.guidance == 1:
        raise ValueError("generate of Janus needs guidance: with a scale of 1 it fails")
    return lambda number: _draw(task, number)


@torch.inference_mode()
def _draw(task: Task, number: int) -> Drawn:
    s, network, watch = task.settings, task.model.model, Stopwatch(task.model.device)
    sampling = {"do_sample": True, **asdict(s.sampling)} if s.sampling.temperature else {"do_sample": False}
    torch.manual_seed(number)
    prompt = task.prompts[number % len(task.prompts)]
    ids = task.model.read(prompt, None, s.grid, 1)[0][None]
    mask = torch.ones_like(ids)
    codes = network.generate(ids, attention_mask=mask, generation_mode="image", guidance_scale=s.guidance, **sampling)
    watch.lap()
    network.decode_image_tokens(codes).cpu()
    watch.lap()
    drawing, detokenise = watch.phases
    return Drawn(codes.shape[1], None, drawing, detokenise, watch.peak)
