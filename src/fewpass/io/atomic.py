"""Files that are complete or absent."""

import os
import re
import secrets
import tempfile
from itertools import count
from pathlib import Path

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")  # names of incomplete files


def located(name: str | Path) -> Path:
    """A path with `~` expanded to the home folder."""
    return Path(os.path.expanduser(name))


def check_folder(folder: Path) -> None:
    """Raise ValueError with the reason if no file can be written into `folder`."""
    try:
        if not folder.is_dir():
            raise ValueError(f"cannot write into {str(folder)!r}: there is no such folder")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write into {str(folder)!r}: {error.strerror}") from None


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step: readers find the old file or the new one, after any interruption.

    Raises ValueError if it cannot be written.
    """
    path = path.resolve()  # a link stays a link
    fresh = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        fresh.write_bytes(data)
        os.replace(fresh, path)
    except OSError as error:
        raise ValueError(f"cannot write {str(path)!r}: {error.strerror}") from None
    finally:
        fresh.unlink(missing_ok=True)


def aside(path: Path) -> Path:
    """A free path for a damaged file: `NAME.damaged`, `NAME.damaged.2` and so on."""
    names = (path.with_name(f"{path.name}.damaged{f'.{n}' if n > 1 else ''}") for n in count(1))
    return next(name for name in names if not os.path.lexists(name))


def sweep(folder: Path) -> None:
    """Remove temporary files of killed calls of `replace`; no process may be writing to the folder."""
    for left in folder.glob(".*.tmp"):
        if TEMPORARY.fullmatch(left.name):
            left.unlink(missing_ok=True)
