"""The folder of a run: every image a file that says how it was drawn, so that a run can go on where it stopped."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewpass.evaluation.items import Item
from fewpass.io.atomic import check_folder, replace
from fewpass.io.png_metadata import read_whole

RUN = "run.json"
LONGEST = 120  # characters of a folder's name


@dataclass(frozen=True)
class RunFolder:
    path: Path

    def check(self, resume: bool) -> None:
        """Raise ValueError if the folder is not to be written into: it holds a run that nobody asked to resume, or
        files that are no run.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"cannot write into {str(self.path)!r}: it is not a folder")
        check_folder(self.path if self.path.exists() else self.path.resolve().parent)
        if (self.path / RUN).is_file():
            if not resume:
                raise ValueError(f"{str(self.path)!r} holds a run already: --resume goes on with it")
        elif self.path.exists() and any(self.path.iterdir()):
            raise ValueError(f"{str(self.path)!r} holds files that are no run of fewpass eval: choose an empty folder")

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Make the folder that of a run with these settings, or go on with one.

        Raises ValueError naming the setting in which the run that is there differs.
        """
        known, now = self.path / RUN, json.loads(json.dumps(settings))
        if not known.is_file():
            self.write(RUN, json.dumps(settings, indent=1))
            return
        try:
            then = dict(json.loads(known.read_bytes()))
        except (ValueError, TypeError, RecursionError):
            raise ValueError(f"{str(known)!r} is damaged: choose another folder") from None
        for name in {**then, **now}:
            if then.get(name) != now.get(name):
                raise ValueError(
                    f"{str(self.path)!r} holds a run with {name} {then.get(name)!r}, not {now.get(name)!r}:"
                    " choose another folder"
                )

    def image(self, decoder: str, item: Item) -> Path:
        return self.path / "images" / slug(decoder) / f"{item.name}.png"

    def record(self, decoder: str, item: Item) -> dict[str, Any] | None:
        """What the file of an image says of it; None if it is not drawn yet.

        Raises ValueError if the file is there and shows something else.
        """
        path = self.image(decoder, item)
        if not path.exists():
            return None
        try:
            record = read_whole(path)
        except ValueError as error:
            raise ValueError(f"{str(path)!r}: {error}; move it away to have it drawn again") from None
        if record is None:
            raise ValueError(f"{str(path)!r} is not an image drawn by fewpass")
        wanted = {"decoder": decoder, "prompt": item.row.prompt, "seed": item.seed}
        for name, value in wanted.items():
            if record.get(name) != value:
                raise ValueError(f"{str(path)!r} was drawn with {name} {record.get(name)!r}, not {value!r}")
        return record

    def write(self, name: str, data: bytes | str) -> Path:
        """Put a file into the folder, in one step."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, data.encode() if isinstance(data, str) else data)
        return path


def slug(decoder: str) -> str:
    """A decoder as the name of a folder: `sjd(window=15, guess=uniform)` is `sjd-window-15-guess-uniform`.

    What is too long for a name ends with a digest.
    """
    words = re.sub(r"[^\w.]+", "-", decoder).strip("-")
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}-{hashlib.sha256(decoder.encode()).hexdigest()[:12]}"
