"""A folder that one process works in at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fewpass.io.atomic import TEMPORARY

LOCK = ".lock"


def files_in(folder: Path) -> list[str]:
    """The names of the files in a folder, without its lock and the temporary files of a killed process."""
    names = [file.name for file in folder.iterdir()] if folder.exists() else []
    return [name for name in names if name != LOCK and not TEMPORARY.fullmatch(name)]


@contextmanager
def locked(folder: Path, run: str) -> Iterator[None]:
    """Create the folder if need be, and keep other processes out.

    Without a file `run` at the end, the lock is removed, and so is the folder if it is new. Raises ValueError if
    another process is at work there.
    """
    fresh, own = not folder.exists(), not (folder / LOCK).exists()
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"another run is at work in {str(folder)!r}") from None
    try:
        yield
    finally:
        if own and not (folder / run).exists():
            (folder / LOCK).unlink(missing_ok=True)
            if fresh:
                folder.rmdir()
        lock.release()
