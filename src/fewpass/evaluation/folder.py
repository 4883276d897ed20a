"""The images of a run, and its folder: each file carries its settings, so that a stopped run can be resumed."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewpass.engine import seeds as seeding
from fewpass.engine.options import SAMPLING
from fewpass.io import atomic
from fewpass.io.lock import files_in
from fewpass.io.png_metadata import read_whole
from fewpass.io.prompt_rows import Row

Numbers = NDArray[np.floating]

ROUND = 1_000_000  # between the seeds of a prompt's images, so that a list of prompts can grow
APART = 1_000_000  # rounds between an image and its counterpart
RUN = "run.json"
SHARED = ("model", "dtype", "device", "guidance", *SAMPLING, "negative_prompt", "size")  # by a run and its images
LONGEST = 120  # characters of a folder's name


@dataclass(frozen=True)
class Item:
    """One image to draw: prompt `number` of the list, its image `round`; both count from 0."""

    row: Row
    number: int
    round: int
    seed: int

    @property
    def counterpart(self) -> "Item":
        """The same prompt with another seed, for a second set of images."""
        return replace(self, round=self.round + APART, seed=self.seed + APART * ROUND)


def items_of(rows: Sequence[Row], count: int, seed: int) -> list[Item]:
    """`count` images of each prompt. Raises ValueError for seeds too large."""
    items = [Item(row, n, r, seed + n + r * ROUND) for n, row in enumerate(rows) for r in range(count)]
    seeding.assign([item.counterpart.seed for item in items], len(items))
    return items


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run at `path`; `settings` are those of the run once it has begun."""

    path: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def check(self, resume: bool) -> None:
        """Raise ValueError if the folder holds other files, or holds a run and not `resume`."""
        if (self.path / RUN).is_file():
            if not resume:
                raise ValueError(f"{str(self.path)!r} holds a run already: --resume continues it")
        elif files_in(self.path):
            raise ValueError(f"{str(self.path)!r} holds files that are no run of fewpass eval: choose an empty folder")

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Store the settings of a new run, and remove temporary files of a killed one.

        Raises ValueError if the folder holds a run with other settings.
        """
        known, now = self.path / RUN, json.loads(json.dumps(settings))
        self.settings.update(now)
        for folder in (self.path, *self.path.glob("images/*")):
            atomic.sweep(folder)
        if not known.is_file():
            self.write(RUN, json.dumps(settings, indent=1))
            return
        try:
            then = json.loads(known.read_bytes())
        except (ValueError, RecursionError):
            then = None
        if not isinstance(then, dict):
            raise ValueError(f"{str(known)!r} is damaged: choose another folder")
        for name in then | now:
            old, new = then.get(name), now.get(name)
            if old != new:
                raise ValueError(
                    f"{str(self.path)!r} holds a run with {name} {old!r}, got {new!r}: choose another folder"
                )

    def image(self, decoder: str, item: Item) -> Path:
        """Where the image is, or goes."""
        return self.path / "images" / slug(decoder) / f"{item.number:05d}-{item.round}.png"

    def record(self, decoder: str, item: Item) -> dict[str, Any] | None:
        """Read the record in an image's file; None if it is not drawn yet.

        Raises ValueError if the file is damaged or shows another image.
        """
        path = self.image(decoder, item)
        if not path.exists():
            return None
        try:
            record = read_whole(path)
        except ValueError as error:
            raise ValueError(f"{str(path)!r}: {error}; move it away to have it drawn again") from None
        if record is None or "tokens" not in record:
            raise ValueError(f"{str(path)!r} is not an image drawn by fewpass eval: move it out of the folder")
        shared = {name: self.settings[name] for name in SHARED if name in self.settings}
        for name, value in {"decoder": decoder, "prompt": item.row.prompt, "seed": item.seed, **shared}.items():
            if record.get(name) != value:
                raise ValueError(f"{str(path)!r} was drawn with {name} {record.get(name)!r}, got {value!r}")
        return record

    def write(self, name: str, data: bytes | str) -> Path:
        """Write a file of the folder in one step."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace(path, data.encode() if isinstance(data, str) else data)
        return path


class DecoderImages:
    """The n images of one decoder, of N tokens each, in the order of `items`.

    Attributes:
        passes: Forward passes of each image, with the prefill, [n].
        tokens_per_pass: Tokens per pass of each image, [n].
        seconds: Seconds of each image, [n]; images of one batch share them equally.
        tokens: The tokens, [n, N].
        entropy: Entropy of p at each token, given the tokens before it, [n, N] in nats.
        nll: Negative log-likelihood of each image in nats per token, without forbidden tokens, [n].
        forbidden: Number of tokens with probability 0 under p.
    """

    def __init__(
        self,
        folder: RunFolder,
        decoder: str,
        lossless: bool | None,
        items: Sequence[Item],
        records: Sequence[Mapping[str, Any]],
    ):
        self.folder, self.decoder, self.lossless, self.items = folder, decoder, lossless, items
        traces = [record["trace"] for record in records]
        committed = np.array([trace["committed"] for trace in traces])
        self.passes: Numbers = committed.max(1).astype(float)
        self.tokens_per_pass: Numbers = committed.shape[1] / self.passes
        self.seconds: Numbers = np.array([trace["seconds"] / trace["images_together"] for trace in traces])
        self.tokens = np.array([record["tokens"] for record in records])
        self.entropy: Numbers = np.array([record["entropy"] for record in records], dtype=float)
        logprobs = np.array([record["logprobs"] for record in records], dtype=float)  # NaN for forbidden tokens
        self.nll: Numbers = -np.ma.masked_invalid(logprobs).mean(1).filled(np.nan)
        self.forbidden = int(np.isnan(logprobs).sum())

    def picture(self, i: int) -> Image.Image:
        """The image of item `i`."""
        with Image.open(self.folder.image(self.decoder, self.items[i])) as image:
            return image.convert("RGB")


def slug(decoder: str) -> str:
    """A decoder as the name of a folder: `sjd(window=15, guess=uniform)` is `sjd-window-15-guess-uniform`.

    A digest replaces the end of a long name.
    """
    words = re.sub(r"[^\w.]+", "-", decoder).strip("-")
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}-{hashlib.sha256(decoder.encode()).hexdigest()[:12]}"
