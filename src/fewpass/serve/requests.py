"""Parsing of request bodies; every error names its field."""

from dataclasses import replace
from functools import cached_property
from math import hypot, log

from fewpass.core.messages import shown
from fewpass.core.protocol import Decoder
from fewpass.decoders import decoder as decoder_of
from fewpass.decoders.tree import Tree
from fewpass.engine import seeds as seeding
from fewpass.engine.options import NAMES, GenerationOptions, naming
from fewpass.engine.request import Job, bind, default_decoder
from fewpass.models.base import Model
from fewpass.serve.errors import ApiError
from fewpass.serve.limits import Limits
from fewpass.serve.schema import GenerationRequest

OPTION = 1000  # largest whole number of a decoder's other options: memory grows with all of them
BRANCHES = 64  # of a tree of drafts


class RequestParser:
    """Parser of the requests for one model."""

    def __init__(self, model: Model, limits: Limits):
        self.model, self.limits = model, limits

    def jobs(self, body: GenerationRequest) -> list[Job]:
        """The images that a body requests. Raises ApiError or InvalidOption."""
        model = self.model
        _check(body, model, self.limits)
        with naming("decoder" if body.window is None else "window"):
            decoder = _decoder(body, model, self.limits)
        with naming("size"):
            size = self.size(body.size)
        with naming("seed"):
            seeds = seeding.assign(body.seed, body.n or 1)
        options = GenerationOptions(**body.model_dump(include=set(NAMES)))
        bound = bind(model, replace(options, decoder=decoder, size=size))
        return list(bound.jobs([body.prompt], iter(seeds), len(seeds)))

    def size(self, asked: str | None) -> tuple[int, int] | None:
        """The (width, height) to draw, None for the model's own; with `limits.sizes` "nearest" the most similar one."""
        if asked is None or asked == "auto":
            return None
        width, height = map(int, asked.split("x"))
        if self.limits.sizes == "nearest" and self._sizes:
            return min(self._sizes, key=lambda size: (hypot(log(size[0] / width), log(size[1] / height)), size))
        if width * height > self.limits.max_pixels:
            raise ValueError(f"images have at most {self.limits.max_pixels} pixels here, got {asked}")
        return width, height

    @cached_property
    def _sizes(self) -> set[tuple[int, int]]:
        """Sizes in multiples of 8 pixels that the model draws with at most as many tokens as its own size."""
        edges, pixels = range(8, 2048 + 1, 8), self.limits.max_pixels
        asked = ((w, h) for w in edges for h in edges if w * h <= pixels and max(w, h) <= 4 * min(w, h))
        return set(filter(self._is_drawn, asked))

    def _is_drawn(self, size: tuple[int, int]) -> bool:
        try:
            return self.model.grid(size).size <= self.model.grid(None).size
        except ValueError:
            return False


def _check(body: GenerationRequest, model: Model, limits: Limits) -> None:
    """Check all fields that do not depend on the tokenizer or the decoder."""
    if body.model is not None and body.model != model.name:
        message = f"there is no model {shown(body.model)}; this server has {model.name!r}"
        raise ApiError(404, message, param="model", code="model_not_found")
    with naming("n"):
        if (body.n or 1) > min(limits.max_images, limits.capacity):
            raise ValueError(f"n must be at most {min(limits.max_images, limits.capacity)} here, got {body.n}")
    for name, text in (("prompt", body.prompt), ("negative_prompt", body.negative_prompt or "")):
        with naming(name):
            if len(text) > limits.max_prompt_length:
                raise ValueError(f"{name} has {len(text)} characters; at most {limits.max_prompt_length} are read here")
    with naming("partial_images"):
        if body.partial_images and not body.stream:
            raise ValueError(f"partial_images {body.partial_images} has no effect without stream")


def _decoder(body: GenerationRequest, model: Model, limits: Limits) -> Decoder:
    decoder = default_decoder(model) if body.decoder is None else decoder_of(body.decoder)
    if body.window is not None:
        decoder = decoder.with_options(window=body.window)
    for option, value in decoder.options.items():
        most = limits.max_window if option in ("window", "branches") else OPTION
        if isinstance(value, int) and value > most:
            raise ValueError(f"{option} is at most {most} here, got {shown(value)}")
    if isinstance(decoder, Tree) and decoder.candidates**decoder.levels > BRANCHES:
        raise ValueError(f"{decoder}: trees have at most {BRANCHES} branches here")
    return decoder
