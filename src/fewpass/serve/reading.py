"""From the body of a request to jobs; every complaint names its field."""

from fewpass import seeds as seeding
from fewpass.decoders import Decoder
from fewpass.job import Job
from fewpass.loop import fitted
from fewpass.models.base import Model
from fewpass.needs import Prospect
from fewpass.recipes import decoder as decoder_of
from fewpass.recipes import with_window
from fewpass.serve.errors import ApiError, naming
from fewpass.serve.limits import Limits
from fewpass.serve.schema import GenerationRequest
from fewpass.settings import Settings, default_decoder
from fewpass.spelling import options_of
from fewpass.tree import Tree

OPTION = 1000  # the largest whole number for any option of a decoder: memory grows with all of them
BRANCHES = 64  # candidates of one position, in all branches of a tree


def read_jobs(body: GenerationRequest, model: Model, limits: Limits) -> list[Job]:
    """One job for each image asked for. Raises ApiError."""
    _check(body, model, limits)
    with naming("decoder" if body.window is None else "window"):
        decoder = _decoder(body, model, limits)
    with naming("size"):
        size = _size(body.size, limits)
        grid = model.grid(size)
    with naming("decoder"):
        fitted(decoder, Prospect(grid, model.network.codebook))
    with naming("seed"):
        seeds = seeding.assign(body.seed, body.n or 1)
    with naming("prompt"):
        model.read(body.prompt, None, grid, 1.0)
    with naming("negative_prompt"):
        settings = Settings.of(
            model, decoder, body.guidance, body.temperature, body.top_k, body.top_p, size, body.negative_prompt
        )
        if body.negative_prompt is not None:
            model.read(body.negative_prompt, None, grid, 1.0)
    with naming("prompt" if body.guidance is None else "guidance"):
        return [settings.job(body.prompt, seed) for seed in seeds]


def _check(body: GenerationRequest, model: Model, limits: Limits) -> None:
    """What can be said without reading the prompt."""
    if body.model is not None and body.model != model.name:
        message = f"there is no model {body.model!r}; this server has {model.name!r}"
        raise ApiError(404, message, param="model", code="model_not_found")
    with naming("n"):
        if (body.n or 1) > min(limits.images, limits.places):
            raise ValueError(f"n must be at most {min(limits.images, limits.places)} here, not {body.n}")
    for name, text in (("prompt", body.prompt), ("negative_prompt", body.negative_prompt or "-")):
        with naming(name):
            if not text.strip():
                raise ValueError(f"{name} must say something, not {text!r}")
            if len(text) > limits.prompt:
                raise ValueError(f"{name} has {len(text)} characters; at most {limits.prompt} are read here")
    with naming("partial_images"):
        if body.partial_images and not body.stream:
            raise ValueError(f"partial_images {body.partial_images} has no effect without stream")
    with naming("output_compression"):
        if body.output_compression is not None and body.output_format not in ("jpeg", "webp"):
            raise ValueError(f"output_compression {body.output_compression} is for output_format jpeg or webp")


def _decoder(body: GenerationRequest, model: Model, limits: Limits) -> Decoder:
    decoder = decoder_of(body.decoder) if body.decoder else default_decoder(model)
    if body.window is not None:
        decoder = with_window(decoder, body.window)
    for option, value in options_of(str(decoder)).items():
        most = limits.window if option == "window" else OPTION
        if isinstance(value, int) and value > most:
            raise ValueError(f"{option} is at most {most} here, not {value}")
    if isinstance(decoder, Tree) and decoder.candidates**decoder.levels > BRANCHES:
        raise ValueError(f"{decoder}: trees have at most {BRANCHES} branches here")
    return decoder


def _size(asked: str | None, limits: Limits) -> tuple[int, int] | None:
    if asked in (None, "auto"):
        return None
    width, height = map(int, asked.split("x"))
    if width * height > limits.pixels:
        raise ValueError(f"images have at most {limits.pixels} pixels here, not {width} x {height}")
    return width, height
