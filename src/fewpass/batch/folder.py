"""Where a batch goes: a folder that can be left at any moment and gone on with later."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from PIL import Image

from fewpass.batch.entries import Entry
from fewpass.batch.outcome import Drawn, Outcome, drawn_line, failed_line, file_of
from fewpass.files import TEMPORARY, check_folder, replace, sweep
from fewpass.metadata import read_settings

RUN, RESULTS, IMAGES, LOCK = "batch.json", "results.jsonl", "images", ".lock"


class Folder:
    """`batch.json` says what is drawn here, `images/` holds it, `results.jsonl` has a line for every image or failure.

    An image is put in its place in one step and then gets its line, which is one write. Whatever is missing after a
    kill can thus be told from the images: they carry what their lines say.
    """

    def __init__(self, path: Path):
        self.path, self.images, self.results = path, path / IMAGES, path / RESULTS

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out, whether this one ends well or not. A folder that stays empty is removed.

        Raises ValueError if another one is at work, or nothing can be written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"cannot write into {str(self.path)!r}: it is not a folder")
        fresh = not self.path.exists()
        check_folder(self.path.resolve().parent if fresh else self.path)
        self.path.mkdir(exist_ok=True)
        lock = FileLock(self.path / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ValueError(f"another run is at work in {str(self.path)!r}") from None
        try:
            yield
        finally:
            if not (self.path / RUN).exists():
                (self.path / LOCK).unlink(missing_ok=True)
                if fresh:
                    self.path.rmdir()
            lock.release()

    def run(self) -> dict[str, Any] | None:
        """What is drawn here, None if nothing is yet. Raises ValueError if the folder has another purpose."""
        try:
            return dict(json.loads((self.path / RUN).read_bytes()))
        except FileNotFoundError:
            others = [e.name for e in self.path.iterdir() if not (e.name == LOCK or TEMPORARY.fullmatch(e.name))]
            if others:
                raise ValueError(f"{str(self.path)!r} is not empty and holds no batch") from None
            return None
        except (ValueError, TypeError):
            raise ValueError(f"{str(self.path / RUN)!r} cannot be read: the folder holds no batch") from None

    def check(self, run: Mapping[str, Any]) -> None:
        """Raise ValueError naming a difference if this is the folder of another run than `run`."""
        before = self.run()
        for what in run if before else ():
            if before and before.get(what) != run[what]:
                raise ValueError(_difference(self.path, what, before.get(what), run[what]))

    def begin(self, run: Mapping[str, Any]) -> None:
        """Make this the folder of `run`, unless it is already, and remove what a kill has left half-written."""
        self.check(run)
        if not (self.path / RUN).exists():
            replace(self.path / RUN, json.dumps(run, indent=2).encode() + b"\n")
        self.images.mkdir(exist_ok=True)
        sweep(self.path)
        sweep(self.images)

    def left(self, entries: Iterable[Entry], again: bool = False) -> list[Entry]:
        """The entries that are still to be drawn, those that have failed only if they are to be tried `again`."""
        known, lines, left = self._read(), [], []
        for entry in entries:
            line = known.get(entry.id)
            if self._is_there(entry):
                line = line if line and line["status"] == "drawn" else self._recovered(entry)
            elif line and (line["status"] == "drawn" or again):
                line = None
            if line is None:
                left.append(entry)
            else:
                lines.append(line)
        self._write(lines)
        return left

    def save(self, outcome: Outcome) -> None:
        """Keep what has become of an entry."""
        if isinstance(outcome, Drawn):
            replace(self.images / file_of(outcome.entry), outcome.png)
            line = drawn_line(outcome.entry, outcome.record)
        else:
            line = failed_line(outcome.entry, outcome.error)
        data = _encoded(line)
        with self.results.open("ab", buffering=0) as file:
            if file.write(data) != len(data):
                raise ValueError(f"cannot write {str(self.results)!r}: the disk is full")

    def finish(self, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        """Bring the results into the order of the entries; those there are."""
        known = self._read()
        lines = [known[entry.id] for entry in entries if entry.id in known]
        self._write(lines)
        return lines

    def _is_there(self, entry: Entry) -> bool:
        path = self.images / file_of(entry)
        return path.is_file() and path.stat().st_size > 0

    def _recovered(self, entry: Entry) -> dict[str, Any] | None:
        """The line of an image that was put in its place just before a kill."""
        path = self.images / file_of(entry)
        try:
            record = read_settings(path)
            with Image.open(path) as image:
                image.load()  # a power cut may have left half of it
            if (record["id"], record["prompt"], record["seed"]) == (entry.id, entry.prompt, entry.seed):
                return drawn_line(entry, record)
        except (ValueError, KeyError, TypeError, OSError, SyntaxError):
            pass
        return None

    def _read(self) -> dict[str, dict[str, Any]]:
        """The lines by their ids; what is no whole line is not there."""
        known = {}
        raw = self.results.read_bytes() if self.results.exists() else b""
        for text in raw.split(b"\n"):
            try:
                line = json.loads(text)
                known[line["id"]] = line
            except (ValueError, KeyError, TypeError):
                continue
        return known

    def _write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        data = b"".join(map(_encoded, lines))
        if data != (self.results.read_bytes() if self.results.exists() else b""):
            replace(self.results, data)


def _encoded(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _difference(path: Path, what: str, before: object, now: object) -> str:
    if what == "digest":
        return f"{str(path)!r} holds another run: its prompts or their settings are not these"
    return f"{str(path)!r} holds another run: its {what} is {before!r}, not {now!r}"
