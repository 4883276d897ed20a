"""Prompts become images."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import Size, whole
from fewpass.core.loop import decode
from fewpass.core.messages import shown
from fewpass.core.protocol import Decoder
from fewpass.engine import seeds as seeding
from fewpass.engine.log_likelihood import score
from fewpass.engine.options import Settings, options_of
from fewpass.engine.portions import Room, Whole, in_portions
from fewpass.engine.prompts import Given, prompts_of
from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.engine.scheduler import Scheduler
from fewpass.engine.stream import jobs_of, stream
from fewpass.engine.trace import Clock, ClockedSession, Trace
from fewpass.io.png_metadata import read_settings
from fewpass.models.base import Model, Prompt
from fewpass.runtime.session import PromptSession

BLANK = 232  # the grey of what has not been drawn yet


class Pipeline:
    """A model, ready to draw. Not thread-safe: one call at a time."""

    def __init__(self, model: Model):
        self.model = model

    @torch.inference_mode()
    def __call__(
        self,
        prompt: Given | Sequence[Given],
        *,
        decoder: Decoder | str | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | Sequence[int] | None = None,
        count: int = 1,
        size: Size | None = None,
        negative_prompt: Given | None = None,
        on_step: Callable[[Canvas], object] | None = None,
        logprobs: bool = False,
    ) -> Result:
        """Draw `count` images of each prompt.

        A prompt is a text, or a tensor or list of the token ids that the model is to read before the image; for
        LlamaGen, the number of a class, or features [P, C] of a text. `decoder` is a decoder or its spelling,
        `"sjd(window=16)"`; the default is lossless. `guidance` is the scale of classifier-free guidance, 1 for none;
        `temperature` 0 takes the likeliest code every time, `top_k` 0 and `top_p` 1 keep all codes. For these four
        None is the model's own. `seed`: a number s gives image i the seed s + i, a list gives one each (for a single
        prompt: as many images as seeds), None draws s < 2**48. `size` in pixels is (width, height), "WIDTHxHEIGHT",
        or one number for a square. `on_step(canvas)` sees the canvas after every pass and stops the drawing by
        returning False. An image depends on its prompt, its seed and the settings, on nothing else.

        Images that do not fit into memory together are drawn in portions, with a warning. `on_step` always sees the
        canvas of all images, blank where a portion has not begun; the trace counts the passes of each image's own
        portion. When memory runs out nevertheless, the portions are halved once, and one begins again.

        Raises ValueError naming the value that is out of range, or the memory that a single image would need.
        """
        started = time.perf_counter()
        clock = Clock(self.model.device)
        settings = Settings.of(self.model, decoder, guidance, temperature, top_k, top_p, size, negative_prompt)
        prompts = prompts_of(prompt, seed, count, bool(self.model.labels))
        seeds = seeding.assign(seed, len(prompts))
        jobs = [settings.job(*pair) for pair in zip(prompts, seeds, strict=True)]
        whole, stopped, callers = Whole(len(jobs)), False, list[Exception]()

        def stops(canvas: Canvas) -> bool:
            try:
                return on_step is not None and on_step(canvas) is False
            except Exception as error:
                callers.append(error)
                raise

        def draw(numbers: range) -> Result:
            nonlocal stopped
            portion = jobs[numbers.start : numbers.stop]
            trace = Trace.blank(len(portion), settings.grid)
            canvas = Canvas.blank(settings.grid, self._seeds(portion), 0)
            if not stopped:
                for canvas in trace.watch(self._draw(portion, clock)):
                    stopped = stops(whole.with_portion(numbers, canvas))
                    if stopped:
                        break
            return self.result(portion, canvas, trace, logprobs=logprobs)

        result = in_portions(Room(self.model), jobs, draw, callers)
        result.trace.model_seconds, result.trace.seconds = clock.seconds, time.perf_counter() - started
        return result

    def again(self, image: Mapping[str, Any] | str | PathLike[str], **options: Any) -> Result:
        """Draw an image once more: from its settings, its line in a batch's results, or the PNG file that holds it.

        `options` are those of a call, and take the place of what the settings say. Raises ValueError naming what is
        missing, or the model or dtype that it was drawn with if that is another one.
        """
        settings = image if isinstance(image, Mapping) else read_settings(Path(image))
        return self(**options_of(settings, self.model) | options)

    def stream(
        self,
        prompts: Iterable[Given | Job],
        *,
        batch_size: int = 8,
        decoder: Decoder | str | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | Iterable[int] | None = None,
        count: int = 1,
        size: Size | None = None,
        negative_prompt: Given | None = None,
        on_step: Callable[[Canvas], object] | None = None,
        logprobs: bool = False,
    ) -> Iterator[tuple[int, Result]]:
        """Draw prompts as they come, `batch_size` images at a time, and yield each image's number and result when done.

        `prompts` may be lazy and without end: one is taken as soon as there is a place for its images, which share
        forward passes with those that are being drawn. The options are those of a call; `seed` may be an iterable
        too. A `Job` among the prompts is one image with settings of its own. `on_step` sees the canvas of all images
        being drawn together, after every pass; returning False ends the stream.

        Images are those that calls would draw, but come in the order in which they are finished. The seconds of their
        traces are those in the batch. Raises ValueError as a call does, when it comes to a prompt that will not do;
        to skip those, make jobs of prompts with `job`, which raises it too.
        """
        if isinstance(prompts, str | bytes | Tensor) or not isinstance(prompts, Iterable):
            raise ValueError(f"prompts must be several texts, got {shown(prompts)}")
        settings = Settings.of(self.model, decoder, guidance, temperature, top_k, top_p, size, negative_prompt)
        scheduler = Scheduler(self.model, batch_size)
        jobs = jobs_of(prompts, settings, seeding.endless(seed), whole("count", count, least=1))
        finished = stream(scheduler, jobs, on_step)
        return ((i, self.result([f.job], f.canvas, f.trace, logprobs=logprobs)) for i, f in finished)

    def job(
        self,
        prompt: Given,
        *,
        decoder: Decoder | str | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        size: Size | None = None,
        negative_prompt: Given | None = None,
    ) -> Job:
        """One image to be drawn by `stream` or a `Scheduler`, with the options of a call.

        Raises ValueError naming the value that will not do.
        """
        settings = Settings.of(self.model, decoder, guidance, temperature, top_k, top_p, size, negative_prompt)
        return settings.job(prompt, *seeding.assign(seed, 1))

    @torch.inference_mode()
    def result(self, jobs: Sequence[Job], canvas: Canvas, trace: Trace, *, logprobs: bool = False) -> Result:
        """The images of `jobs`, which have been drawn together on `canvas`, and all that there is to say of them."""
        prompts, seeds = [job.prompt for job in jobs], [job.seed for job in jobs]
        tokens = canvas.tokens[:, : canvas.grid.size].masked_fill(~canvas.final, -1).cpu()
        scores = score(self._open(jobs), jobs[0].sampling, tokens) if logprobs else None
        images = self._images(canvas, prompts, seeds)
        passes = zip(jobs, trace.asked.tolist(), trace.passes.tolist(), strict=True)
        settings = [job.settings(self.model, images[0].size, asked[:n]) for job, asked, n in passes]
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

    def _draw(self, jobs: Sequence[Job], clock: Clock) -> Iterator[Canvas]:
        """Jobs of equal company, drawn together."""
        with clock:
            session = ClockedSession(self._open(jobs), clock)
        return decode(session, jobs[0].decoder, jobs[0].sampling, self._seeds(jobs))

    def _seeds(self, jobs: Sequence[Job]) -> Tensor:
        return torch.tensor([job.seed for job in jobs], device=self.model.device)

    def _open(self, jobs: Sequence[Job]) -> PromptSession:
        return self.model.open_rows([job.rows for job in jobs], jobs[0].grid, [job.guidance for job in jobs])

    def _images(self, canvas: Canvas, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Image.Image]:
        if not all(canvas.finished):
            return self.render(canvas)
        return _as_images(self.model.pictures(canvas.tokens[:, : canvas.grid.size], canvas.grid, prompts, seeds))


def _as_images(pictures: Tensor) -> list[Image.Image]:
    return [Image.fromarray(picture) for picture in pictures.to(torch.uint8).cpu().contiguous().numpy()]
