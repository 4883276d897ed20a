"""What a call is asked to draw."""

import hashlib
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import cast

from torch import Tensor

from fewpass.models.base import Prompt


def prompts_of(prompt: Prompt | Sequence[Prompt], seed: object, count: int) -> list[Prompt]:
    """One prompt for each image: `count` of every one given, or as many of a single one as there are seeds.

    Raises ValueError for a prompt that says nothing.
    """
    if count != int(count) or count < 1:
        raise ValueError(f"count must be a whole number >= 1, not {count}")
    one_tensor = isinstance(prompt, Tensor) and prompt.ndim < 2 + prompt.is_floating_point()
    alone = one_tensor or isinstance(prompt, str) or not isinstance(prompt, Iterable)
    prompts = [cast(Prompt, prompt)] if alone else list(cast(Iterable[Prompt], prompt))
    if alone and count == 1 and isinstance(seed, Sequence):
        count = len(seed)
    if not prompts or not count:
        raise ValueError("there is no prompt" if count else "there is no seed")
    for text in prompts:
        check_prompt(text)
    return [text for text in prompts for _ in range(count)]


def written(prompt: Prompt) -> str | int | list[int]:
    """A prompt as it may be noted down; of features, which are long, what tells them from others."""
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, Tensor):
        return int(prompt)
    if not prompt.is_floating_point():
        return prompt.tolist()
    digest = hashlib.sha256(prompt.detach().cpu().float().numpy().tobytes()).hexdigest()
    return f"features {list(prompt.shape)} with SHA-256 {digest}"


def check_prompt(prompt: object) -> None:
    """Raise ValueError for a prompt that says nothing."""
    if isinstance(prompt, Tensor):
        if prompt.ndim != 1 + prompt.is_floating_point() or not len(prompt):
            raise ValueError(
                "a prompt of token ids is a tensor [P] of whole numbers, and one of features [P, C] of real ones,"
                f" not {list(prompt.shape)} of {prompt.dtype}"
            )
    elif isinstance(prompt, str):
        if not prompt.strip():
            raise ValueError(f"a prompt must say something, not {prompt!r}")
    elif not isinstance(prompt, Integral) or isinstance(prompt, bool):
        raise ValueError(f"a prompt must be a text, the number of a class or a tensor, got {prompt!r}")
