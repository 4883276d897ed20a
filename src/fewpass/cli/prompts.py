"""The prompts of a command: typed, from a file, or a model's own."""

import sys
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING

from fewpass.core.checks import check_unicode
from fewpass.io.prompt_files import read_rows
from fewpass.io.prompt_rows import FROM_NAMES, Row

if TYPE_CHECKING:
    from fewpass.models.base import Model

CLASSES = 500  # prompts of a class-conditional model, by default


def read_prompts(typed: Sequence[str], file: str | None) -> list[str]:
    """The prompts typed, then those of `file`, see `fewpass.io.prompt_files`.

    Raises ValueError if there is none, one is empty, or the file cannot be read.
    """
    for prompt in typed:
        if not prompt.strip():
            raise ValueError(f"a prompt must be a text, not blank, got {prompt!r}")
        check_unicode("a prompt", prompt)
    rows = [] if file is None else read_rows(file)
    print_unused(file, [{**row.fields, **row.tags} for row in rows])
    prompts = [*typed, *(row.prompt for row in rows)]
    if not prompts:
        raise ValueError("there is no prompt")
    return prompts


def print_unused(file: str | None, columns: Iterable[Iterable[str]]) -> None:
    """Name the columns of `file` that the command ignores."""
    names = list(dict.fromkeys(name for row in columns for name in row if name not in FROM_NAMES))
    if names:
        print(f"{file}: only the prompts are used, not {', '.join(map(repr, names))}", file=sys.stderr)


def own_prompts(model: "Model", limit: int | None) -> tuple[list[Row], str]:
    """The held-out prompts of `emoji`, or `limit` classes of a class-conditional model in turn, and a name for them.

    Raises ValueError for a model that has none.
    """
    from fewpass.models.class_names import class_prompts
    from fewpass.models.emoji import evaluation_prompts

    if model.name == "emoji":
        listed = [Row(text, f"held-out prompt {n}") for n, text in enumerate(evaluation_prompts())]
        return listed, "held-out prompts"
    if not model.labels:
        raise ValueError(f"{model.name!r} has no prompts of its own: give a file with --prompts")
    turns = islice(cycle(class_prompts(model.classes, model.labels)), limit or CLASSES)
    return [Row(text, f"class {n % model.labels}") for n, text in enumerate(turns)], "prompts, the classes in turn"
