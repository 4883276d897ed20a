"""Prompts become images."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fewpass import seeds as seeding
from fewpass.canvas import Canvas, Grid
from fewpass.decode import decode
from fewpass.decoders import Decoder, Query
from fewpass.device import chosen_device, chosen_dtype
from fewpass.models import load_model
from fewpass.models.base import Model
from fewpass.recipes import decoder as decoder_of
from fewpass.sampling import Law, Sampling
from fewpass.trace import Clock, ClockedSession, Trace

DEFAULT_DECODER = "mc_sjd"  # lossless
BLANK = 232  # the grey of what has not been drawn yet
CHUNK = 64  # positions scored in one pass


@dataclass(eq=False)
class Result:
    """What a call drew: `images`, their `tokens` [B, N] int64 and `seeds`, and what it cost.

    `logprobs` [B, N] are log-probabilities under the final law, if they were asked for. A drawing that was stopped
    has -1 for tokens, 0 for log-probabilities and grey for pixels that were not final. `settings` are what it takes
    to draw image i again: its prompt, its seed and everything they share.
    """

    images: list[Image.Image]
    tokens: Tensor
    seeds: list[int]
    trace: Trace
    settings: list[dict[str, Any]]
    logprobs: Tensor | None = None


class Pipeline:
    """A model, ready to draw. Not thread-safe: one call at a time."""

    def __init__(self, model: Model):
        self.model = model

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        decoder: Decoder | str | None = None,
        guidance: float | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | Sequence[int] | None = None,
        count: int = 1,
        size: tuple[int, int] | None = None,
        negative_prompt: str | None = None,
        on_step: Callable[[Canvas], object] | None = None,
        logprobs: bool = False,
    ) -> Result:
        """Draw `count` images of each prompt.

        `decoder` is a decoder or its spelling, `"sjd(window=16)"`; the default is lossless. `guidance` is the scale
        of classifier-free guidance, None for the model's own, 1 for none. `seed`: a number s gives image i the seed
        s + i, a list gives one each (for a single prompt: as many images as seeds), None draws them. `size` is
        (width, height) in pixels. `on_step(canvas)` sees the canvas after every pass and stops the drawing by
        returning False. An image depends on its prompt, its seed and the settings, on nothing else.

        Raises ValueError naming the value that is out of range.
        """
        started = time.perf_counter()
        clock = Clock(self.model.device)
        drawing = decoder_of(decoder or DEFAULT_DECODER)
        law = Sampling(temperature, top_k, top_p)
        prompts = _prompts(prompt, seed, count)
        seeds = seeding.assign(seed, len(prompts))
        scale = _scale(guidance, negative_prompt, self.model)
        grid = self.model.grid(size)
        negatives = [negative_prompt] * len(prompts)
        with clock:
            session = self.model.open(prompts, grid, scale, negatives)
        trace = Trace(torch.zeros(len(prompts), grid.size, dtype=torch.long))
        device_seeds = torch.tensor(seeds, device=self.model.device)
        for canvas in trace.watch(decode(ClockedSession(session, clock), drawing, law, device_seeds)):
            if on_step is not None and on_step(canvas) is False:
                break
        tokens = canvas.tokens[:, : grid.size].masked_fill(~canvas.final, -1).cpu()
        scores = self._score(prompts, grid, scale, negatives, law, tokens) if logprobs else None
        images = self.render(canvas)
        shared = {
            "model": self.model.name,
            "decoder": str(drawing),
            "lossless": drawing.lossless,
            "guidance": scale,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "negative_prompt": negative_prompt,
            "size": list(images[0].size),
        }
        settings = [{"prompt": p, "seed": s, **shared} for p, s in zip(prompts, seeds, strict=True)]
        trace.model_seconds, trace.seconds = clock.seconds, time.perf_counter() - started
        return Result(images, tokens, seeds, trace, settings, scores)

    @torch.inference_mode()
    def render(self, canvas: Canvas) -> list[Image.Image]:
        """The pictures on a canvas as far as they are final; the rest is grey."""
        grid, final = canvas.grid, canvas.final
        pixels = self.model.pixels(canvas.tokens[:, : grid.size], grid)
        cell = pixels.shape[1] // grid.rows
        drawn = final.view(-1, grid.rows, grid.cols)[:, :, : pixels.shape[2] // cell]
        drawn = drawn.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
        shown = torch.where(drawn[..., None], pixels, BLANK)
        return [Image.fromarray(picture) for picture in shown.to(torch.uint8).cpu().numpy()]

    def _score(
        self,
        prompts: Sequence[str],
        grid: Grid,
        guidance: float,
        negatives: Sequence[str | None],
        law: Law,
        tokens: Tensor,
    ) -> Tensor:
        """Log-probability of each token under `law`, given those before it: one more reading of the finished images."""
        session = self.model.open(prompts, grid, guidance, negatives)
        fed = tokens.clamp(min=0).to(self.model.device)
        laws = [law(session.first).gather(-1, fed[:, :1, None])]
        for start in range(0, grid.size - 1, CHUNK):
            index = torch.arange(start, min(start + CHUNK, grid.size - 1), device=fed.device).expand(len(fed), -1)
            p = law(session(Query(fed.gather(1, index), index)))
            laws.append(p.gather(-1, fed.gather(1, index + 1)[..., None]))
        scores = torch.cat(laws, 1)[..., 0].log().cpu()
        return scores.masked_fill(tokens < 0, 0.0)


def load(
    name_or_folder: str | Path,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
) -> Pipeline:
    """The model called `name_or_folder`, ready to draw.

    `emoji` is the bundled model; anything else is a folder in transformers' format. `device` is "cpu" or "cuda",
    None for the GPU if there is one; `dtype` None is float32 on the CPU and bfloat16 on a GPU.
    """
    where = chosen_device(device)
    return Pipeline(load_model(name_or_folder, where, chosen_dtype(dtype, where)))


def _prompts(prompt: str | Sequence[str], seed: object, count: int) -> list[str]:
    """One prompt for each image."""
    if count != int(count) or count < 1:
        raise ValueError(f"count must be a whole number >= 1, not {count}")
    if isinstance(prompt, str) and count == 1 and isinstance(seed, Sequence):
        count = len(seed)
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if not prompts or not count:
        raise ValueError("there is no prompt" if count else "there is no seed")
    for text in prompts:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"a prompt must say something, not {text!r}")
    return [text for text in prompts for _ in range(count)]


def _scale(guidance: float | None, negative_prompt: str | None, model: Model) -> float:
    scale = model.guidance if guidance is None else float(guidance)
    if not 0 <= scale < float("inf"):
        raise ValueError(f"guidance must be a number >= 0, not {guidance}")
    if negative_prompt is not None and scale == 1:
        raise ValueError(f"negative_prompt {negative_prompt!r} has no effect without guidance")
    return scale
