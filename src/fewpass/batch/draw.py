"""The inner loop of a batch: entries in, images or errors out."""

import json
from collections.abc import Iterator, Sequence

import torch

from fewpass.batch.entries import Entry
from fewpass.batch.outcome import Drawn, Failed, Outcome
from fewpass.cli.report import record
from fewpass.metadata import png
from fewpass.pipeline import Pipeline


def draw(pipe: Pipeline, entries: Sequence[Entry], together: int, dtype: str | None) -> Iterator[Outcome]:
    """What becomes of each entry, at most `together` drawn at once.

    What an image becomes does not depend on its company, and an entry that cannot be drawn takes no other with it.
    Raises ValueError if the device itself has failed.
    """
    alike: dict[str, list[Entry]] = {}
    for entry in entries:
        alike.setdefault(json.dumps(entry.options, sort_keys=True), []).append(entry)
    for group in alike.values():
        for start in range(0, len(group), together):
            yield from _draw_together(pipe, group[start : start + together], dtype)


def _draw_together(pipe: Pipeline, entries: Sequence[Entry], dtype: str | None) -> Iterator[Outcome]:
    """Draw entries of equal options; in halves if they cannot be drawn together."""
    try:
        result = pipe([e.prompt for e in entries], seed=[e.seed for e in entries], **entries[0].options)
    except torch.AcceleratorError as error:
        raise ValueError(f"the device has failed, start again to go on: {described(error)}") from error
    except Exception as error:
        if len(entries) == 1:
            yield Failed(entries[0], described(error))
            return
    else:
        for i, entry in enumerate(entries):
            kept = {"id": entry.id, "tags": dict(entry.tags), **record(pipe, dtype, result, i)}
            yield Drawn(entry, png(result.images[i], kept), kept)
        return
    middle = len(entries) // 2
    yield from _draw_together(pipe, entries[:middle], dtype)
    yield from _draw_together(pipe, entries[middle:], dtype)


def described(error: Exception) -> str:
    """An error in one line."""
    kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
