"""Prompts become images."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any, Unpack, cast

import torch
from PIL import Image
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.checks import whole
from fewpass.core.messages import shown
from fewpass.engine import seeds as seeding
from fewpass.engine.log_likelihood import read
from fewpass.engine.options import GenerationOptions, Options, translated
from fewpass.engine.prompts import Given, prompts_of
from fewpass.engine.request import Job, bind, options_of
from fewpass.engine.result import Result
from fewpass.engine.scheduler import Batch, Scheduler, drawn
from fewpass.engine.trace import Trace
from fewpass.io.png_metadata import read_settings
from fewpass.models.base import Model
from fewpass.viz.progress import committed_tokens

BLANK = 232  # the grey of what has not been drawn yet


class Pipeline:
    """A model, ready to draw. Not thread-safe: one call at a time."""

    def __init__(self, model: Model):
        self.model = model

    def __repr__(self) -> str:
        dtype = str(self.model.model.dtype).removeprefix("torch.")
        return f"Pipeline({type(self.model).__name__} {self.model.name!r}, {dtype} on {self.model.device})"

    @torch.inference_mode()
    def __call__(
        self,
        prompt: Given | Sequence[Given],
        *,
        count: int = 1,
        on_step: Callable[[Canvas], object] | None = None,
        progress: bool = False,
        logprobs: bool = False,
        **options: Unpack[Options],
    ) -> Result:
        """Draw `count` images of each prompt.

        A prompt is a text, or a tensor or list of the token ids that the model is to read before the image; for
        LlamaGen, the number of a class, or features [P, C] of a text. An image depends on its prompt, its seed and the
        options, on nothing else.

        Where not all images fit into memory together, some wait until others are finished, with a warning. When memory
        runs out nevertheless, half as many are drawn at a time.

        Args:
            prompt: One prompt or several.
            count: Number of images of each prompt.
            on_step: Called with the canvas of all images after every forward pass, blank where an image has not begun;
                stops the drawing by returning False.
            progress: Whether a bar on standard error shows the tokens that are final.
            logprobs: Whether the result holds the log-probabilities of the tokens.
            options: Those of `GenerationOptions`. `decoder`: a decoder or its spelling, `"sjd(window=16)"`; the
                default is lossless. `guidance`: scale of classifier-free guidance, 1 for none. `temperature`: 0 takes
                the likeliest code always. `top_k`: 0 keeps all codes. `top_p`: 1 keeps all. `min_p`: 0 keeps all. For
                these, None is the model's own. `size` in pixels: (width, height), "WIDTHxHEIGHT", or one number for a
                square. `negative_prompt`: what guidance leads away from. `seed`: a number s gives image i the seed
                s + i, a list gives one each (for a single prompt: as many images as seeds), None draws s < 2**48.
                Names of diffusers are accepted where their meaning is the same, see "With transformers and diffusers".

        Raises:
            ValueError: An option is out of range, or the model cannot read the prompt.
            OutOfMemory: A `MemoryError`: the device has too little memory for a single image.
        """
        started = time.perf_counter()
        count, read = _count(count, options), GenerationOptions.of(options)
        bound = bind(self.model, read)
        prompts, images = prompts_of(prompt, read.seed, count, bool(self.model.labels))
        jobs = list(bound.jobs(prompts, iter(seeding.assign(read.seed, len(prompts) * images)), images))
        batch = Batch(self.model, jobs)
        with committed_tokens(len(jobs)) if progress else nullcontext() as show:
            batch.draw(*filter(None, (show, on_step)))
        result = self._results(batch, logprobs)
        result.trace.seconds = time.perf_counter() - started
        return result

    def again(self, image: Mapping[str, Any] | str | PathLike[str], **options: Any) -> Result:
        """Draw an image once more: from its settings, its line in a batch's results, or the PNG file that holds it.

        `options` are those of a call, and take the place of what the settings say. Raises ValueError naming what is
        missing, or the model or dtype that it was drawn with if that is another one.
        """
        if not isinstance(image, Mapping | str | PathLike):
            raise ValueError(f"an image is given by its settings or the path of its file, got {shown(image)}")
        settings = image if isinstance(image, Mapping) else read_settings(Path(image))
        return self(**options_of(settings, self.model) | translated(options) | options)

    def stream(
        self,
        prompts: Iterable[Given | Job],
        *,
        batch_size: int = 8,
        count: int = 1,
        on_step: Callable[[Canvas], object] | None = None,
        logprobs: bool = False,
        **options: Any,
    ) -> Iterator[tuple[int, Result]]:
        """Draw prompts as they come, `batch_size` images at a time, and yield each image's number and result when done.

        `prompts` may be lazy and without end: one is taken as soon as there is capacity for its images, which share
        forward passes with those that are being drawn. The `options` are those of a call; `seed` may be an iterable
        too. A `Job` among the prompts is one image with options of its own. `on_step` gets the canvas of all images
        being drawn together, after every pass; returning False ends the stream.

        Images are those that calls would draw, but come in the order in which they are finished. The seconds of their
        traces are those in the batch. Raises ValueError as a call does, when it comes to a prompt that the model cannot
        read; to skip such prompts, make jobs of prompts with `job`, which raises it too.
        """
        if isinstance(prompts, str | bytes | Tensor) or not isinstance(prompts, Iterable):
            raise ValueError(f"prompts must be several texts, got {shown(prompts)}")
        count, read = _count(count, options), GenerationOptions.of(options)
        bound, scheduler = bind(self.model, read), Scheduler(self.model, batch_size)
        jobs = bound.jobs(prompts, seeding.endless(read.seed), whole("count", count, least=1))
        return self._stream(scheduler, jobs, on_step, logprobs)

    def _stream(
        self, scheduler: Scheduler, jobs: Iterable[Job], on_step: Callable[[Canvas], object] | None, logprobs: bool
    ) -> Iterator[tuple[int, Result]]:
        for finished in drawn(scheduler, jobs):
            for i, one in finished:
                yield i, self.result([one.job], one.canvas, one.trace, logprobs=logprobs)
            if on_step is not None:
                seen = [on_step(canvas) for _, canvas in scheduler.canvases()]
                if any(answer is False for answer in seen):
                    return

    def job(self, prompt: Given, **options: Unpack[Options]) -> Job:
        """One image to be drawn by `stream` or a `Scheduler`, with the options of a call.

        Raises ValueError naming the value that is out of range or of the wrong type.
        """
        read = GenerationOptions.of(options)
        (seed,) = seeding.assign(read.seed, 1)
        return bind(self.model, read).job(prompt, seed)

    @torch.inference_mode()
    def result(self, jobs: Sequence[Job], canvas: Canvas, trace: Trace, *, logprobs: bool = False) -> Result:
        """The images of `jobs`, which have been drawn together on `canvas`, with their trace and settings."""
        prompts, seeds = [job.prompt for job in jobs], [job.seed for job in jobs]
        tokens = canvas.tokens[:, : canvas.grid.size].masked_fill(~canvas.final, -1).cpu()
        scores = None
        if logprobs:
            session = self.model.open_rows([job.rows for job in jobs], canvas.grid, [job.guidance for job in jobs])
            scores = read(session, jobs[0].sampling, tokens).logprobs
        if all(canvas.finished):
            images = _as_images(self.model.pictures(canvas.tokens[:, : canvas.grid.size], canvas.grid, prompts, seeds))
        else:
            images = self.render(canvas)
        settings = [job.settings(images[0].size) for job in jobs]
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

    def _results(self, batch: Batch, logprobs: bool) -> Result:
        """The images of a batch, read again in micro-batches of as many as were drawn together."""
        parts, device = [], batch.canvas.length.device
        for images in torch.arange(len(batch.jobs)).split(batch.scheduler.most):
            canvas, jobs = batch.canvas.select(images.to(device)), [batch.jobs[i] for i in images]
            parts.append(self.result(jobs, canvas, batch.trace.select(images), logprobs=logprobs))
        result = Result.joined(parts)
        result.trace.model_seconds = batch.trace.model_seconds
        return result


def _count(count: int, options: Mapping[str, Any]) -> int:
    """The number of images of each prompt, by our name or by that of diffusers, which is taken out of `options`."""
    images = cast(dict[str, Any], options).pop("num_images_per_prompt", None)
    if images is not None and count != 1:
        raise ValueError("count is given twice, by its own name and by that of diffusers")
    return count if images is None else images


def _as_images(pictures: Tensor) -> list[Image.Image]:
    return [Image.fromarray(picture) for picture in pictures.to(torch.uint8).cpu().contiguous().numpy()]
