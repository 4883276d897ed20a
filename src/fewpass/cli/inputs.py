"""What the user typed, as the library takes it."""

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fewpass.files import located

if TYPE_CHECKING:
    from fewpass.decoders import Decoder


def read_prompts(typed: Sequence[str], file: str | None) -> list[str]:
    """The prompts typed and then those of `file`, one per line; `-` is standard input. Blank lines are skipped.

    Raises ValueError if there is none, one is empty, or the file cannot be read.
    """
    prompts = [*typed, *_lines(file)]
    if not prompts:
        raise ValueError("there is no prompt" + (f" in {file!r}" if file else ""))
    for text in prompts:
        if not text.strip() or not _is_text(text):
            raise ValueError(f"a prompt must say something, not {text!r}")
    return prompts


def _lines(file: str | None) -> list[str]:
    if file is None:
        return []
    try:
        raw = sys.stdin.buffer.read() if file == "-" else located(file).read_bytes()
        return [line.strip() for line in raw.decode("utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise ValueError(f"cannot read {file!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file!r} is not text in UTF-8") from None


def _is_text(typed: str) -> bool:
    """False for bytes on the command line that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in typed)


def read_size(typed: str | None) -> tuple[int, int] | None:
    if typed is None:
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", typed.strip().lower())
    if not found:
        raise ValueError(f"size must be WIDTHxHEIGHT in pixels, like 384x384, not {typed!r}")
    return int(found[1]), int(found[2])


def read_decoder(spelling: str, window: int | None = None) -> "Decoder":
    """The decoder that `spelling` names, with its option `window` replaced if one is given."""
    from fewpass.recipes import decoder, with_window

    chosen = decoder(spelling)
    return chosen if window is None else with_window(chosen, window)


def check_sampling(temperature: float | None, top_k: int | None, top_p: float | None) -> None:
    """Raise ValueError naming the value that is out of range; None is the model's own."""
    from fewpass.sampling import Sampling

    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    Sampling(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
