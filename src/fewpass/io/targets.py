"""Output files and folders."""

import os
from dataclasses import dataclass
from pathlib import Path

from fewpass.io.atomic import check_folder, located

SLUG = 48  # characters of the prompt in a file's name


@dataclass(frozen=True)
class Target:
    """One file, or a folder of them.

    A path that ends in a separator or has no suffix is a folder, and so is one that is a folder already.
    """

    path: Path
    is_folder: bool
    images: int

    @classmethod
    def of(cls, typed: str, images: int) -> "Target":
        """Read an output path. Raises ValueError if `images` images cannot be written there; creates nothing."""
        path = _path(typed)
        if path.suffix and not path.is_dir() and not typed.endswith(("/", os.sep)):
            if images > 1:
                raise ValueError(f"{images} images need a folder, and {typed!r} is a file's name")
            return cls(output_file(typed, ".png"), False, images)
        return cls(output_folder(typed), True, images)

    def file(self, index: int, prompt: str, seed: int) -> Path:
        """The file of image `index`; in a folder its name is made of the index, the prompt and the seed."""
        if not self.is_folder:
            return self.path
        digits = max(2, len(str(self.images - 1)))
        return self.path / f"{index:0{digits}}-{slug(prompt)}-{seed}.png"

    def make(self) -> None:
        """Create the folder, if it is one."""
        if self.is_folder:
            self.path.mkdir(exist_ok=True)


def slug(prompt: str) -> str:
    """A prompt as part of a file's name: letters and digits, joined by dashes."""
    words = "".join(c if c.isalnum() else " " for c in prompt.lower()).split()
    return "-".join(words)[:SLUG].strip("-") or "image"


def output_folder(typed: str) -> Path:
    """The path of a folder that the user has typed, which need not exist. Raises ValueError if it cannot be written."""
    path = _path(typed)
    if path.exists() and not path.is_dir():
        raise ValueError(f"cannot write into {typed!r}: it is not a folder")
    check_folder(path if path.exists() else path.resolve().parent)
    return path


def output_file(typed: str, suffix: str) -> Path:
    """The path of a file that the user has typed. Raises ValueError if it cannot be written, or ends otherwise."""
    path = _path(typed)
    if path.suffix.lower() != suffix:
        raise ValueError(f"{typed!r} must end in {suffix}")
    if path.exists() and not path.is_file():
        raise ValueError(f"cannot write {typed!r}: it is not a file")
    check_folder(path.resolve().parent)
    return path


def _path(typed: str) -> Path:
    if not typed or "\0" in typed:
        raise ValueError(f"an output must be a file or a folder, got {typed!r}")
    return located(typed)
