"""What the user typed, as the library takes it."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fewpass.core.checks import check_unicode
from fewpass.io.prompt_files import FROM_NAMES, read_rows

if TYPE_CHECKING:
    from fewpass.core.protocol import Decoder


def read_prompts(typed: Sequence[str], file: str | None) -> list[str]:
    """The prompts typed and then those of `file`, see `fewpass.io.prompt_files`; a line says what of it is not used.

    Raises ValueError if there is none, one is empty, or the file cannot be read.
    """
    for text in typed:
        if not text.strip():
            raise ValueError(f"a prompt must say something, got {text!r}")
        check_unicode("a prompt", text)
    rows = [] if file is None else read_rows(file)
    say_unused(file, [{**row.fields, **row.tags} for row in rows])
    prompts = [*typed, *(row.prompt for row in rows)]
    if not prompts:
        raise ValueError("there is no prompt")
    return prompts


def say_unused(file: str | None, columns: Iterable[Iterable[str]]) -> None:
    """Name the columns of `file` that the command does not use."""
    names = list(dict.fromkeys(name for row in columns for name in row if name not in FROM_NAMES))
    if names:
        print(f"{file}: only the prompts are used, not {', '.join(map(repr, names))}", file=sys.stderr)


def read_decoder(spelling: str, window: int | None = None) -> "Decoder":
    """The decoder that `spelling` names, with its option `window` replaced if one is given."""
    from fewpass.decoders.recipes import decoder

    chosen = decoder(spelling)
    return chosen if window is None else chosen.with_options(window=window)
