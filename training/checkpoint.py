"""Checkpoints as folders of small files, for hosts that limit the size of a file; replaced atomically."""

import io
import shutil
from pathlib import Path

import torch

PART = 15 << 20  # bytes


def save(state: dict, folder: Path) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    data = buffer.getbuffer()
    for number, start in enumerate(range(0, len(data), PART)):
        (fresh / f"part-{number:03d}").write_bytes(data[start : start + PART])
    replace(fresh, folder, old)


def replace(fresh: Path, folder: Path, old: Path) -> None:
    """Rename `fresh` to `folder`, so that a reader never finds an incomplete folder."""
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path) -> dict | None:
    """The last checkpoint, on the CPU, or None. After a run was killed between the two renames, it is in `.old`."""
    for path in (folder, folder.with_name(folder.name + ".old")):
        if path.exists():
            data = b"".join(part.read_bytes() for part in sorted(path.glob("part-*")))
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return None
