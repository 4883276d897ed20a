"""What the images of a call have in common."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fewpass.core.canvas import Grid
from fewpass.core.checks import Size, read_size, real
from fewpass.core.messages import shown
from fewpass.core.protocol import Decoder, Prospect, fitted
from fewpass.core.sampling import Sampling
from fewpass.decoders.recipes import decoder as decoder_of
from fewpass.decoders.recipes import jacobi_ngram
from fewpass.engine.prompts import Given, read_prompt
from fewpass.engine.request import Job
from fewpass.models.base import Model, Prompt


def default_decoder(model: Model) -> Decoder:
    """`jacobi_ngram`, which draws the tokens of `ar`, with 16 drafts in a pass on a CPU and 32 elsewhere."""
    return jacobi_ngram(16 if model.device.type == "cpu" else 32)


@dataclass(frozen=True, eq=False)
class Settings:
    """How `model` is to draw, checked."""

    model: Model
    decoder: Decoder
    sampling: Sampling
    guidance: float
    grid: Grid
    negative_prompt: Prompt | None

    @classmethod
    def of(
        cls,
        model: Model,
        decoder: Decoder | str | None,
        guidance: float | None,
        temperature: float | None,
        top_k: int | None,
        top_p: float | None,
        size: Size | None,
        negative_prompt: Given | None,
    ) -> "Settings":
        """The options of `Pipeline.__call__`; None is the model's own. Raises ValueError naming what will not do."""
        own = model.sampling
        sampling = Sampling(
            own.temperature if temperature is None else temperature,
            own.top_k if top_k is None else top_k,
            own.top_p if top_p is None else top_p,
        )
        scale = model.guidance if guidance is None else real("guidance", guidance, 0, finite=True)
        chosen = default_decoder(model) if decoder is None else decoder_of(decoder)
        if negative_prompt is not None and scale == 1:
            raise ValueError(f"negative_prompt {shown(negative_prompt)} has no effect without guidance")
        negative = None if negative_prompt is None else read_prompt(negative_prompt, blank=True)
        if isinstance(negative, int):
            model.class_ids(negative)
        return cls(model, chosen, sampling, scale, model.grid(read_size(size)), negative)

    def job(self, prompt: Given, seed: int) -> Job:
        """One image. Raises ValueError for a prompt that the model cannot read or the decoder cannot draw."""
        read = read_prompt(prompt)
        self.model.check_pictures([read])
        rows = self.model.read(read, self.negative_prompt, self.grid, self.guidance)
        fitted(self.decoder, Prospect(self.grid, self.model.network.codebook))
        return Job(read, self.negative_prompt, rows, self.grid, self.guidance, self.decoder, self.sampling, seed)


AGAIN = ("prompt", "seed", "decoder", "guidance", "temperature", "top_k", "top_p", "negative_prompt", "size")


def options_of(settings: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """The arguments of a call of `model` that draw the image with these settings again.

    Raises ValueError naming what is missing, or is not as it was when the image was drawn.
    """
    if isinstance(settings.get("settings"), Mapping):  # a line of a batch's results
        settings = {**settings, **settings["settings"]}
    elif "width" in settings and "height" in settings:  # a line as batches wrote it before it held all settings
        settings = {"size": (settings["width"], settings["height"]), **settings}
    for name in ("model", *AGAIN):
        if name not in settings:
            raise ValueError(f"these are not the settings of an image: there is no {name!r}")
    if not _is_same(settings["model"], model.name):
        raise ValueError(f"the image was drawn with the model {shown(settings['model'])}, got {model.name!r}")
    dtype = str(model.model.dtype).removeprefix("torch.")
    if settings.get("dtype", dtype) != dtype:
        raise ValueError(
            f"the image was drawn in {shown(settings['dtype'])}, got {dtype}: load the model with that dtype"
        )
    return {name: settings[name] for name in AGAIN} | {"decoder": settings.get("again", settings["decoder"])}


def _is_same(one: object, other: str) -> bool:
    """Whether both names are those of one model: paths may be two of one folder."""
    return one == other or (
        isinstance(one, str) and os.path.exists(one) and os.path.realpath(one) == os.path.realpath(other)
    )
