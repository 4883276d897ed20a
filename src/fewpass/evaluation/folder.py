"""The folder of a run: every image a file that says how it was drawn, so that a run can go on where it stopped."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewpass.evaluation.items import Item
from fewpass.files import check_folder, replace
from fewpass.metadata import read_settings

RUN = "run.json"


@dataclass(frozen=True)
class RunFolder:
    path: Path

    def begin(self, settings: Mapping[str, Any], resume: bool) -> None:
        """Make the folder that of a run with these settings, or go on with a run of the same.

        Raises ValueError if it holds anything else: another run, a run that nobody asked to resume, other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"cannot write into {str(self.path)!r}: it is not a folder")
        check_folder(self.path if self.path.exists() else self.path.resolve().parent)
        known = self.path / RUN
        if known.is_file():
            self._compare(json.loads(known.read_text(encoding="utf-8")), settings, resume)
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise ValueError(f"{str(self.path)!r} holds files that are no run of fewpass eval: choose an empty folder")
        self.path.mkdir(exist_ok=True)
        replace(known, _json(settings))

    def _compare(self, then: Mapping[str, Any], now: Mapping[str, Any], resume: bool) -> None:
        if not resume:
            raise ValueError(f"{str(self.path)!r} holds a run already: --resume goes on with it")
        now = json.loads(_json(now))
        for name in {**then, **now}:
            if then.get(name) != now.get(name):
                raise ValueError(
                    f"{str(self.path)!r} holds a run with {name} {then.get(name)!r}, not {now.get(name)!r}:"
                    " it cannot be resumed with other settings"
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
        record, wanted = read_settings(path), {"decoder": decoder, "prompt": item.row.prompt, "seed": item.seed}
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
    """A decoder as the name of a folder: `sjd(window=15, guess=uniform)` is `sjd-window-15-guess-uniform`."""
    return re.sub(r"[^\w.]+", "-", decoder).strip("-")


def _json(settings: Mapping[str, Any]) -> bytes:
    return json.dumps(settings, indent=1).encode()
