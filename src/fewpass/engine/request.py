"""One image to draw: its prompt and options, read, checked and bound to a model once."""

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from torch import Tensor

from fewpass.core.canvas import Grid
from fewpass.core.checks import whole
from fewpass.core.messages import shown
from fewpass.core.protocol import Decoder, SessionInfo
from fewpass.core.protocol import bind as bind_decoder
from fewpass.core.sampling import Sampling
from fewpass.decoders.recipes import jacobi_ngram
from fewpass.engine.options import NAMES, SAMPLING, GenerationOptions, InvalidOption, naming
from fewpass.engine.prompts import Given, read_prompt, written
from fewpass.models.base import Model, Prompt


@dataclass(frozen=True, eq=False)
class Job:
    """All settings of an image, checked against the model that is to draw it: made by `Pipeline.job`.

    `rows` are the token ids that the model reads: the prompt's first, with guidance those it is contrasted with.
    """

    model: Model
    prompt: Prompt
    negative_prompt: Prompt | None
    rows: Sequence[Tensor]
    grid: Grid
    guidance: float
    decoder: Decoder
    sampling: Sampling
    seed: int

    @property
    def batch_key(self) -> Hashable:
        """Requests of equal `batch_key` can share forward passes; seeds, prompts and guidance scales may differ."""
        return self.grid.grids, len(self.rows), self.decoder, self.sampling

    def settings(self, size: tuple[int, int]) -> dict[str, Any]:
        """Settings that draw the image again, with the model's name, device and dtype, and the size in pixels."""
        model = self.model
        return {
            "prompt": written(self.prompt),
            "seed": self.seed,
            "model": model.name,
            "decoder": str(self.decoder),
            "lossless": self.decoder.lossless,
            "guidance": self.guidance,
            **asdict(self.sampling),
            "negative_prompt": None if self.negative_prompt is None else written(self.negative_prompt),
            "size": list(size),
            "device": str(model.device),
            "dtype": str(model.model.dtype).removeprefix("torch."),
        }


def default_decoder(model: Model) -> Decoder:
    """`jacobi_ngram`, which draws the tokens of `ar`, with 16 drafts in a pass on a CPU and 32 elsewhere."""
    return jacobi_ngram(16 if model.device.type == "cpu" else 32)


@dataclass(frozen=True, eq=False)
class BoundOptions:
    """The options of images of `model`, each with a value, and checked."""

    model: Model
    decoder: Decoder
    sampling: Sampling
    guidance: float
    grid: Grid
    negative_prompt: Prompt | None

    def jobs(self, prompts: Iterable[Given | Job], seeds: Iterator[int], count: int) -> Iterator[Job]:
        """Yield `count` requests for each prompt, made on demand, with the next seeds, and given requests once each.

        Raises ValueError as `job` does, and where there are no seeds left.
        """
        for prompt in prompts:
            if isinstance(prompt, Job):
                yield replace(prompt)  # the same request may be repeated
                continue
            job: Job | None = None
            for _ in range(count):
                seed = next(seeds, None)
                if seed is None:
                    raise ValueError(f"there is no seed for {shown(prompt)}: more images than seeds")
                job = self.job(prompt, seed) if job is None else replace(job, seed=seed)
                yield job

    def job(self, prompt: Given, seed: int) -> Job:
        """One image. Raises InvalidOption for a prompt that the model cannot read or draw a picture of."""
        with naming("prompt"):
            read = read_prompt(prompt)
            self.model.check_pictures([read])
        try:
            rows = self.model.read(read, self.negative_prompt, self.grid, self.guidance)
        except ValueError as error:
            raise InvalidOption(self._culprit(read), str(error)) from None
        given = read, self.negative_prompt, rows, self.grid, self.guidance, self.decoder, self.sampling, seed
        return Job(self.model, *given)

    def _culprit(self, prompt: Prompt) -> str:
        """The option on account of which the model does not read `prompt`."""
        for name, alone in {"prompt": prompt, "negative_prompt": self.negative_prompt}.items():
            try:
                if alone is not None:
                    self.model.read(alone, None, self.grid, 1.0)
            except ValueError:
                return name
        return "guidance"


def bind(model: Model, options: GenerationOptions) -> BoundOptions:
    """Complete the options by the model's own, and check that model and decoder support them.

    Raises InvalidOption, a ValueError, naming the option and its value.
    """
    given = options.checked().given
    sampling = replace(model.sampling, **{name: given[name] for name in SAMPLING if name in given})
    guidance, negative = given.get("guidance", model.guidance), given.get("negative_prompt")
    with naming("negative_prompt"):
        if negative is not None and guidance == 1:
            raise ValueError(f"negative_prompt {shown(options.negative_prompt)} has no effect without guidance")
        if isinstance(negative, int):
            model.class_ids(negative)
    with naming("size"):
        grid = model.grid(given.get("size"))
    decoder = given.get("decoder") or default_decoder(model)
    with naming("decoder"):
        bind_decoder(decoder, SessionInfo(grid, model.network.codebook))
    return BoundOptions(model, decoder, sampling, guidance, grid, negative)


def options_of(settings: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """The arguments of a call of `model` that draw the image with these settings again.

    Raises ValueError naming a setting that is missing, or differs from when the image was drawn.
    """
    if isinstance(settings.get("settings"), Mapping):  # a line of a batch's results
        settings = {**settings, **settings["settings"]}
    elif "width" in settings and "height" in settings:  # a line as batches wrote it before it held all settings
        settings = {"size": (settings["width"], settings["height"]), **settings}
    later = {option.name: option.metadata for option in fields(GenerationOptions) if "absent" in option.metadata}
    settings = {**{name: about["absent"] for name, about in later.items()}, **settings}
    again = ("prompt", *NAMES)
    for name in ("model", *again):
        if name not in settings:
            raise ValueError(f"these are not the settings of an image: there is no {name!r}")
    whole("a seed", settings["seed"])  # of one image: a list or none would draw others
    if not isinstance(settings["prompt"], str):
        read_prompt(settings["prompt"])
    if not _is_same(settings["model"], model.name):
        raise ValueError(f"the image was drawn with the model {shown(settings['model'])}, got {model.name!r}")
    dtype = str(model.model.dtype).removeprefix("torch.")
    if settings.get("dtype", dtype) != dtype:
        raise ValueError(
            f"the image was drawn in {shown(settings['dtype'])}, got {dtype}: load the model with that dtype"
        )
    return {name: settings[name] for name in again}


def _is_same(one: object, other: str) -> bool:
    """Whether both names are those of one model: paths may be two of one folder."""
    return one == other or (
        isinstance(one, str) and os.path.exists(one) and os.path.realpath(one) == os.path.realpath(other)
    )
