"""T5 as the reader of prompts."""

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from fewpass.models.captions import cleaned
from fewpass.models.checkpoint import Checkpoint
from fewpass.models.hub import fetch

PUBLISHED = "google/flan-t5-xl"
FOLDER = "t5"  # where a checkpoint keeps it


class TextEncoder:
    """Texts of at most `longest` tokens become features [P, C]."""

    def __init__(self, model: T5EncoderModel, tokenizer: PreTrainedTokenizerBase, longest: int):
        self.model, self.tokenizer, self.longest = model.eval(), tokenizer, longest

    @classmethod
    def find(cls, checkpoint: Checkpoint, width: int, longest: int) -> Self | None:
        """The one in the folder `t5` of a checkpoint, else flan-t5-xl if it was downloaded before; None if it was not.

        Raises ValueError if its features are not `width` wide.
        """
        home = checkpoint.folder if checkpoint.folder.is_dir() else checkpoint.folder.parent
        inside = replace(checkpoint, folder=home / FOLDER)
        if not inside.folder.is_dir():
            try:
                downloaded = fetch(PUBLISHED, None, local_files_only=True)
            except ValueError:
                return None
            if downloaded is None:
                return None
            inside = replace(checkpoint, folder=downloaded)
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
