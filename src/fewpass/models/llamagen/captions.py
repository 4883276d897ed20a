"""LlamaGen's text encoder: captions, cleaned as in training, become features by T5."""

import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from fewpass.models.checkpoint import Checkpoint
from fewpass.models.hub import fetch

PUBLISHED = "google/flan-t5-xl"
FOLDER = "t5"  # where a checkpoint keeps it


def cleaned(caption: str) -> str:
    """A caption as the text encoder of LlamaGen reads it.

    The authors clean every caption twice, by rules that DeepFloyd's IF made for captions from the web, and so does
    diffusers: in lower case; without addresses, markup, Chinese characters, file names, article numbers, sizes such as
    2x2, words of trade and special characters; dashes and quotes are plain; more than three hyphens or underscores
    become spaces; broken encodings are repaired; quotes around the whole caption and one sign at either end go.

    Raises ValueError if the packages that this takes are not installed.
    """
    try:
        import bs4  # noqa: F401
        import ftfy  # noqa: F401
        from diffusers.pipelines.pixart_alpha.pipeline_pixart_alpha import PixArtAlphaPipeline as PixArt
    except ImportError:
        raise ValueError(
            "LlamaGen's captions take diffusers, ftfy and beautifulsoup4: pip install 'fewpass[llamagen]'"
        ) from None
    with warnings.catch_warnings(action="ignore"):  # Beautiful Soup warns of texts that look like file names
        return PixArt._clean_caption(PixArt, PixArt._clean_caption(PixArt, caption))


def _downloaded() -> Path | None:
    with suppress(ValueError):
        return fetch(PUBLISHED, None, local_files_only=True)
    return None


class TextEncoder:
    """Texts of at most `longest` tokens become features [P, C]."""

    def __init__(self, model: T5EncoderModel, tokenizer: PreTrainedTokenizerBase, longest: int):
        self.model, self.tokenizer, self.longest = model.eval(), tokenizer, longest

    @classmethod
    def find(cls, checkpoint: Checkpoint, width: int, longest: int) -> Self | None:
        """The one in the folder `t5` of a checkpoint, else flan-t5-xl if it was downloaded before; None if it was not.

        Raises ValueError if its features are not `width` wide.
        """
        folder = checkpoint.home / FOLDER if (checkpoint.home / FOLDER).is_dir() else _downloaded()
        if folder is None:
            return None
        inside = replace(checkpoint, folder=folder)
        tokenizer = inside.tokenizer()
        model = replace(inside, options={"attn_implementation": "sdpa"}).weights(T5EncoderModel)
        if model.config.d_model != width:
            raise ValueError(
                f"{inside.folder} gives features of width {model.config.d_model} and {checkpoint.name} reads {width}:"
                f" it was made for {PUBLISHED}"
            )
        return cls(model, tokenizer, longest)

    def __call__(self, prompt: str) -> Tensor:
        """Features [P, C]. Raises ValueError for a prompt that says nothing, or too much."""
        caption = cleaned(prompt)
        if not caption:
            raise ValueError(
                f"nothing is left of the prompt {prompt!r} once it is cleaned as captions were in training"
            )
        ids = self.tokenizer(caption).input_ids
        if len(ids) > self.longest:
            raise ValueError(f"a prompt has {self.longest} tokens at most, not {len(ids)}: {prompt!r}")
        return self.model(input_ids=torch.tensor([ids], device=self.model.device)).last_hidden_state[0]
