"""Prompts become images."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from fewpass import seeds as seeding
from fewpass.canvas import Canvas
from fewpass.decoders import Decoder
from fewpass.models.base import Model, Prompt
from fewpass.prompts import prompts_of
from fewpass.recipes import decoder as decoder_of
from fewpass.result import Result
from fewpass.sampling import Sampling
from fewpass.stream import Request, Stream

DEFAULT_DECODER = "mc_sjd"  # lossless
BLANK = 232  # the grey of what has not been drawn yet


class Pipeline:
    """A model, ready to draw. Not thread-safe: one call at a time."""

    def __init__(self, model: Model):
        self.model = model

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

        A prompt is a text, or a tensor of the token ids that the model is to read before the image. `decoder` is a
        decoder or its spelling, `"sjd(window=16)"`; the default is lossless. `guidance` is the scale of
        classifier-free guidance, 1 for none; `temperature` 0 takes the likeliest code every time, `top_k` 0 and
        `top_p` 1 keep all codes. For these four None is the model's own. `seed`: a number s gives image i the seed
        s + i, a list gives one each (for a single prompt: as many images as seeds), None draws them. `size` is
        (width, height) in pixels. `on_step(canvas)` sees the canvas after every pass and stops the drawing by
        returning False. An image depends on its prompt, its seed and the settings, on nothing else.

        Raises ValueError naming the value that is out of range.
        """
        drawing = self.stream(
            prompt,
            decoder=decoder,
            guidance=guidance,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            count=count,
            size=size,
            negative_prompt=negative_prompt,
        )
        for canvas in drawing:
            if on_step is not None and on_step(canvas) is False:
                break
        return drawing.result(logprobs)

    @torch.inference_mode()
    def stream(
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
    ) -> Stream:
        """The same drawing one pass at a time: an iterator of the canvas after every pass, to be left at any time.

        Several may be under way at once, if they take turns in one thread. Settings and errors are those of a call.
        """
        drawing = decoder_of(decoder or DEFAULT_DECODER)
        law = self._sampling(temperature, top_k, top_p)
        prompts = prompts_of(prompt, seed, count)
        seeds = seeding.assign(seed, len(prompts))
        scale = _scale(guidance, negative_prompt, self.model)
        grid = self.model.grid(size)
        self.model.check_pictures(prompts)
        return Stream(self, Request(prompts, seeds, drawing, law, grid, scale, negative_prompt))

    @torch.inference_mode()
    def render(self, canvas: Canvas) -> list[Image.Image]:
        """The pictures on a canvas as far as they are final; the rest is grey."""
        grid, final = canvas.grid, canvas.final
        pixels = self.model.pixels(canvas.tokens[:, : grid.size], grid)
        cell = pixels.shape[1] // grid.rows
        drawn = final[:, grid.start :].view(-1, grid.rows, grid.cols)[:, :, : pixels.shape[2] // cell]
        drawn = drawn.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
        return _as_images(torch.where(drawn[..., None], pixels, BLANK))

    @torch.inference_mode()
    def pictures(self, canvas: Canvas, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Image.Image]:
        """What was drawn, at its best: `render` where it was stopped, the model's finished pictures otherwise."""
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
