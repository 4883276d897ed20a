"""Prompts as callers give them, and as the settings of an image hold them."""

import hashlib
import re
from collections.abc import Sequence
from itertools import islice
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from fewpass.core.checks import check_unicode, whole
from fewpass.core.messages import shown
from fewpass.models.base import Prompt

Given = Prompt | int | Sequence[int]  # as callers give them: the number of a class and token ids are plain numbers too
IMAGES = 2**16  # of a call, which holds all of them in memory
NOTED = re.compile(r"features \[\d+, \d+\] with SHA-256 [0-9a-f]{64}")  # the form of features in `written`


def prompts_of(prompt: Given | Sequence[Given], seed: object, count: int, classes: bool) -> tuple[list[Prompt], int]:
    """The prompts given, and the number of images of each: `count`, or of a single one as many as there are seeds.

    A list of numbers is one prompt of token ids, or of a model that draws `classes` the prompts themselves.
    Raises ValueError for a prompt that says nothing, and for more than 65536 images.
    """
    images = whole("count", count, 1, IMAGES)
    given: Any = prompt.tolist() if hasattr(prompt, "tolist") and not isinstance(prompt, Tensor) else prompt
    alone = _is_one(given, classes)
    prompts = [read_prompt(one) for one in ([given] if alone else given)]
    if alone and images == 1 and isinstance(seed, Sequence):
        images = sum(1 for _ in islice(seed, IMAGES + 1))
    if not prompts or not images:
        raise ValueError("there is no prompt" if images else "there is no seed")
    if len(prompts) * images > IMAGES:
        raise ValueError(
            f"a call draws at most {IMAGES} images, got {shown(len(prompts) * images)}: use Pipeline.stream"
        )
    return prompts, images


def _is_one(given: Any, classes: bool) -> bool:
    if isinstance(given, Tensor):
        return given.ndim < 2 + given.is_floating_point()
    if isinstance(given, list | tuple) and given:
        return not classes and all(isinstance(number, int) for number in given)
    return isinstance(given, str | bytes | dict) or not hasattr(given, "__iter__")


def read_prompt(given: object, blank: bool = False) -> Prompt:
    """One prompt, as the settings of an image hold it or as a caller gives it: a text, token ids, or features.

    Raises ValueError for a text that is `blank`, unless it may be, and for all else.
    """
    if isinstance(given, Tensor):
        if given.ndim != 1 + given.is_floating_point() or not len(given) or given.dtype == torch.bool:
            raise ValueError(
                "a prompt of token ids is a tensor [P] of whole numbers, and one of features [P, C] of real ones,"
                f" got {list(given.shape)} of {given.dtype}"
            )
        return given
    if isinstance(given, list | tuple) and given:
        return torch.tensor([whole("a token id", number, 0, 2**63 - 1) for number in given])
    if isinstance(given, Integral) and not isinstance(given, bool):
        return whole("the number of a class", given, -(2**63), 2**63 - 1)
    if not isinstance(given, str):
        raise ValueError(f"a prompt must be a text, the number of a class or a tensor, got {shown(given)}")
    if not blank and not given.strip():
        raise ValueError(f"a prompt must say something, got {given!r}")
    check_unicode("a prompt", given)
    if NOTED.fullmatch(given):
        raise ValueError(f"the settings of an image do not hold its features: give those themselves, got {given!r}")
    return given


def written(prompt: Prompt) -> str | int | list[int]:
    """A prompt as it may be noted down; of features, which are long, the shape and a hash."""
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, Tensor):
        return int(prompt)
    if not prompt.is_floating_point():
        return prompt.tolist()
    digest = hashlib.sha256(prompt.detach().cpu().float().numpy().tobytes()).hexdigest()
    return f"features {list(prompt.shape)} with SHA-256 {digest}"
