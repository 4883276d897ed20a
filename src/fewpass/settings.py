"""What the images of a call have in common."""

from dataclasses import dataclass

import torch

from fewpass.canvas import Grid
from fewpass.decoders import Decoder
from fewpass.job import Job
from fewpass.loop import fitted
from fewpass.models.base import Model, Prompt
from fewpass.needs import Prospect
from fewpass.prompts import check_prompt
from fewpass.recipes import decoder as decoder_of
from fewpass.sampling import Sampling


def default_decoder(model: Model) -> Decoder:
    """`auto` where its windows do not show in the image; elsewhere `jacobi_ngram`. Both draw the tokens of `ar`.

    As a rule a pass rounds differently with the window that it has, and then what `auto` draws depends a little on how
    fast the machine is at the moment.
    """
    unseen = model.network.steady or torch.finfo(model.model.dtype).bits > 32
    return decoder_of("auto" if unseen else "jacobi_ngram")


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
        size: tuple[int, int] | None,
        negative_prompt: Prompt | None,
    ) -> "Settings":
        """The options of `Pipeline.__call__`; None is the model's own. Raises ValueError naming what will not do."""
        own = model.sampling
        sampling = Sampling(
            own.temperature if temperature is None else temperature,
            own.top_k if top_k is None else top_k,
            own.top_p if top_p is None else top_p,
        )
        if not isinstance(negative_prompt, str | None):
            check_prompt(negative_prompt)
        scale = _scale(guidance, negative_prompt, model)
        chosen = decoder_of(decoder) if decoder else default_decoder(model)
        return cls(model, chosen, sampling, scale, model.grid(size), negative_prompt)

    def job(self, prompt: Prompt, seed: int) -> Job:
        """One image. Raises ValueError for a prompt that the model cannot read or the decoder cannot draw."""
        check_prompt(prompt)
        self.model.check_pictures([prompt])
        rows = self.model.read(prompt, self.negative_prompt, self.grid, self.guidance)
        fitted(self.decoder, Prospect(self.grid, self.model.network.codebook))
        return Job(prompt, self.negative_prompt, rows, self.grid, self.guidance, self.decoder, self.sampling, seed)


def _scale(guidance: float | None, negative_prompt: Prompt | None, model: Model) -> float:
    scale = model.guidance if guidance is None else float(guidance)
    if not 0 <= scale < float("inf"):
        raise ValueError(f"guidance must be a number >= 0, not {guidance}")
    if negative_prompt is not None and scale == 1:
        raise ValueError(f"negative_prompt {negative_prompt!r} has no effect without guidance")
    return scale
