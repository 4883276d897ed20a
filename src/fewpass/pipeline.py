"""Prompts become images."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fewpass import seeds as seeding
from fewpass.canvas import Canvas
from fewpass.decoders import Decoder
from fewpass.loop import decode
from fewpass.models.base import Model, Prompt
from fewpass.prompts import prompts_of, written
from fewpass.recipes import decoder as decoder_of
from fewpass.sampling import Sampling
from fewpass.scoring import score
from fewpass.trace import Clock, ClockedSession, Trace

DEFAULT_DECODER = "mc_sjd"  # lossless
BLANK = 232  # the grey of what has not been drawn yet


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
        prompt: Prompt | Sequence[Prompt],
        *,
        decoder: Decoder | str | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | Sequence[int] | None = None,
        count: int = 1,
        size: tuple[int, int] | None = None,
        negative_prompt: Prompt | None = None,
        on_step: Callable[[Canvas], object] | None = None,
        logprobs: bool = False,
    ) -> Result:
        """Draw `count` images of each prompt.

        A prompt is a text, or a tensor of the token ids that the model is to read before the image; for LlamaGen, the
        number of a class, or features [P, C] of a text. `decoder` is a decoder or its spelling, `"sjd(window=16)"`; the
        default is lossless. `guidance` is the scale of classifier-free guidance, 1 for none; `temperature` 0 takes the
        likeliest code every time, `top_k` 0 and `top_p` 1 keep all codes. For these four None is the model's own.
        `seed`: a number s gives image i the seed s + i, a list gives one each (for a single prompt: as many images as
        seeds), None draws them. `size` is (width, height) in pixels. `on_step(canvas)` sees the canvas after every
        pass and stops the drawing by returning False. An image depends on its prompt, its seed and the settings, on
        nothing else.

        Raises ValueError naming the value that is out of range.
        """
        started = time.perf_counter()
        clock = Clock(self.model.device)
        drawing = decoder_of(decoder or DEFAULT_DECODER)
        law = self._sampling(temperature, top_k, top_p)
        prompts = prompts_of(prompt, seed, count)
        seeds = seeding.assign(seed, len(prompts))
        scale = _scale(guidance, negative_prompt, self.model)
        grid = self.model.grid(size)
        negatives = [negative_prompt] * len(prompts)
        self.model.check_pictures(prompts)
        with clock:
            session = self.model.open(prompts, grid, scale, negatives)
        trace = Trace(torch.zeros(len(prompts), grid.size, dtype=torch.long))
        device_seeds = torch.tensor(seeds, device=self.model.device)
        for canvas in trace.watch(decode(ClockedSession(session, clock), drawing, law, device_seeds)):
            if on_step is not None and on_step(canvas) is False:
                break
        tokens = canvas.tokens[:, : grid.size].masked_fill(~canvas.final, -1).cpu()
        scores = score(self.model.open(prompts, grid, scale, negatives), law, tokens) if logprobs else None
        images = self._images(canvas, prompts, seeds)
        shared = {
            "model": self.model.name,
            "decoder": str(drawing),
            "lossless": drawing.lossless,
            "guidance": scale,
            **asdict(law),
            "negative_prompt": None if negative_prompt is None else written(negative_prompt),
            "size": list(images[0].size),
        }
        settings = [{"prompt": written(p), "seed": s, **shared} for p, s in zip(prompts, seeds, strict=True)]
        trace.model_seconds, trace.seconds = clock.seconds, time.perf_counter() - started
        return Result(images, tokens, seeds, trace, settings, scores)

    @torch.inference_mode()
    def render(self, canvas: Canvas) -> list[Image.Image]:
        """The pictures on a canvas as far as they are final; the rest is grey."""
        grid, final = canvas.grid, canvas.final
        pixels = self.model.pixels(canvas.tokens[:, : grid.size], grid)
        cell = pixels.shape[1] // grid.rows
        drawn = final[:, grid.start :].view(-1, grid.rows, grid.cols)[:, :, : pixels.shape[2] // cell]
        drawn = drawn.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
        return _as_images(torch.where(drawn[..., None], pixels, BLANK))

    def _images(self, canvas: Canvas, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Image.Image]:
        if not all(canvas.finished):
            return self.render(canvas)
        return _as_images(self.model.pictures(canvas.tokens[:, : canvas.grid.size], canvas.grid, prompts, seeds))

    def _sampling(self, temperature: float | None, top_k: int | None, top_p: float | None) -> Sampling:
        own = self.model.sampling
        return Sampling(
            own.temperature if temperature is None else temperature,
            own.top_k if top_k is None else top_k,
            own.top_p if top_p is None else top_p,
        )


def _scale(guidance: float | None, negative_prompt: Prompt | None, model: Model) -> float:
    scale = model.guidance if guidance is None else float(guidance)
    if not 0 <= scale < float("inf"):
        raise ValueError(f"guidance must be a number >= 0, not {guidance}")
    if negative_prompt is not None and scale == 1:
        raise ValueError(f"negative_prompt {negative_prompt!r} has no effect without guidance")
    return scale


def _as_images(pictures: Tensor) -> list[Image.Image]:
    return [Image.fromarray(picture) for picture in pictures.to(torch.uint8).cpu().contiguous().numpy()]
