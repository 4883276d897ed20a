"""A drawing under way, one pass at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from fewpass.canvas import Canvas, Grid
from fewpass.decoders import Decoder
from fewpass.loop import decode
from fewpass.models.base import Model, Prompt
from fewpass.prompts import written
from fewpass.result import Result
from fewpass.sampling import Sampling
from fewpass.scoring import score
from fewpass.session import PromptSession
from fewpass.trace import Clock, ClockedSession, Trace

if TYPE_CHECKING:
    from fewpass.pipeline import Pipeline


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be drawn: one image for each of `prompts` and `seeds`, with settings that have been checked."""

    prompts: Sequence[Prompt]
    seeds: list[int]
    decoder: Decoder
    law: Sampling
    grid: Grid
    guidance: float
    negative_prompt: Prompt | None

    def open(self, model: Model) -> PromptSession:
        negatives = [self.negative_prompt] * len(self.prompts)
        return model.open(self.prompts, self.grid, self.guidance, negatives)

    def settings(self, model: Model, size: tuple[int, int]) -> list[dict[str, Any]]:
        """What it takes to draw each image, of `size` in pixels, again."""
        shared = {
            "model": model.name,
            "decoder": str(self.decoder),
            "lossless": self.decoder.lossless,
            "guidance": self.guidance,
            **asdict(self.law),
            "negative_prompt": None if self.negative_prompt is None else written(self.negative_prompt),
            "size": list(size),
        }
        pairs = zip(self.prompts, self.seeds, strict=True)
        return [{"prompt": written(prompt), "seed": seed, **shared} for prompt, seed in pairs]


class Stream(Iterator[Canvas]):
    """Yields the canvas after every pass, the prompt's included, until all its images are finished.

    `trace` is up to date after every pass; its seconds are those spent in here, not what the caller does meanwhile.
    """

    def __init__(self, pipe: "Pipeline", request: Request):
        self.pipe, self.request = pipe, request
        self.canvas: Canvas | None = None
        self.trace = Trace(torch.zeros(len(request.prompts), request.grid.size, dtype=torch.long))
        self._whole, self._model = Clock(pipe.model.device), Clock(pipe.model.device)
        with self._timed(), self._model:
            session = request.open(pipe.model)
        seeds = torch.tensor(request.seeds, device=pipe.model.device)
        passes = decode(ClockedSession(session, self._model), request.decoder, request.law, seeds)
        self._canvases = self.trace.watch(passes)

    @property
    def finished(self) -> bool:
        return self.canvas is not None and all(self.canvas.finished)

    @torch.inference_mode()
    def __next__(self) -> Canvas:
        with self._timed():
            self.canvas = next(self._canvases)
        return self.canvas

    @torch.inference_mode()
    def result(self, logprobs: bool = False) -> Result:
        """What has been drawn so far."""
        canvas = self.canvas or next(self)
        asked, model = self.request, self.pipe.model
        tokens = canvas.tokens[:, : asked.grid.size].masked_fill(~canvas.final, -1).cpu()
        with self._timed():
            scores = score(asked.open(model), asked.law, tokens) if logprobs else None
            images = self.pipe.pictures(canvas, asked.prompts, asked.seeds)
        return Result(images, tokens, asked.seeds, self.trace, asked.settings(model, images[0].size), scores)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        with self._whole:
            yield
        self.trace.seconds, self.trace.model_seconds = self._whole.seconds, self._model.seconds
