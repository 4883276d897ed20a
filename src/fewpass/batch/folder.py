"""The folder of a batch, which survives interruptions at any moment."""

import json
import reprlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from fewpass.batch.entries import Entry, Outcome, drawn_line, failed_line
from fewpass.engine.seeds import LIMIT
from fewpass.io.atomic import aside, replace, sweep
from fewpass.io.lock import files_in, locked
from fewpass.io.png_metadata import read_whole

RUN, RESULTS, IMAGES = "batch.json", "results.jsonl", "images"
KEYS = ("model", "dtype", "seed", "images", "digest")  # two runs that differ in one of these are different runs


class Folder:
    """`batch.json` describes the run, `images/` holds its images, `results.jsonl` a line for every image or failure.

    An image is moved into place in one step; then its line is appended in one write. Images hold the data of their
    lines, so lines that are missing after a kill are restored from them. A line without its image is ignored.
    """

    def __init__(self, path: Path):
        self.path, self.images, self.results = path, path / IMAGES, path / RESULTS
        self.lines = dict[str, dict[str, Any]]()  # by id

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes out. Raises ValueError if another one is at work here."""
        return locked(self.path, RUN)

    def run(self) -> dict[str, Any] | None:
        """The content of `batch.json`, None in an empty folder. Raises ValueError for a folder of another purpose."""
        try:
            found = json.loads((self.path / RUN).read_bytes())
        except FileNotFoundError:
            if files_in(self.path):
                raise ValueError(f"{str(self.path)!r} is not empty and holds no batch") from None
            return None
        except (ValueError, RecursionError):
            found = None
        whole = isinstance(found, dict) and found.keys() >= set(KEYS) and type(found["seed"]) is int
        if not whole or not 0 <= found["seed"] < LIMIT:
            raise ValueError(
                f"{str(self.path / RUN)!r} is damaged: it must have {', '.join(KEYS)}; choose another folder"
            )
        return found

    def check(self, run: Mapping[str, Any]) -> None:
        """Raise ValueError naming a difference if the folder holds another run."""
        before = self.run() or run
        for key in KEYS:
            if before[key] != run[key]:
                difference = f"its {key} is {before[key]!r}, not {run[key]!r}"
                if key == "digest":
                    difference = "its prompts or their settings are not these"
                raise ValueError(f"{str(self.path)!r} holds another run: {difference}")

    def begin(self, run: Mapping[str, Any]) -> None:
        """Write `batch.json` unless it exists, and remove temporary files of a killed run."""
        if not (self.path / RUN).exists():
            replace(self.path / RUN, json.dumps(run, indent=2).encode() + b"\n")
        self.images.mkdir(exist_ok=True)
        sweep(self.path)
        sweep(self.images)

    def left(self, run: Mapping[str, Any], entries: Sequence[Entry], again: bool) -> tuple[list[Entry], list[str]]:
        """The entries that are still to be drawn, and a line for each damaged file, which is renamed.

        Failed entries are drawn only with `again`. Raises ValueError for an image of another run, before any file is
        changed.
        """
        known, wrong = self._read(run, {entry.id: entry for entry in entries})
        left, damaged = list[Entry](), dict[Path, str]()
        for entry in entries:
            path, line = self.images / entry.file, known.get(entry.id, {})
            if path.exists():
                try:
                    record = read_whole(path)
                except ValueError as error:
                    damaged[path] = str(error)
                else:
                    self.lines[entry.id] = {**line, **_line_of(path, record, entry, run)}
                    continue
            if line.get("status", "drawn") != "drawn" and path not in damaged and not again:
                self.lines[entry.id] = {**line, **failed_line(entry, line["error"])}
            else:
                left.append(entry)
        notes = []
        if wrong:
            kept = aside(self.results)
            replace(kept, self._raw())
            notes.append(f"{wrong}; the file is kept as {kept.name!r}")
        for path, reason in damaged.items():
            kept = path.rename(aside(path))
            notes.append(f"{path}: {reason}; it is kept as {kept.name!r} and drawn again")
        self.finish(entries)
        return left, notes

    def save(self, outcome: Outcome) -> None:
        """Write the image of an entry, if there is one, and its line."""
        line = outcome.line
        if outcome.png is not None:
            replace(self.path / line["image"], outcome.png)
        data = _encoded(line)
        with self.results.open("ab", buffering=0) as file:
            if file.write(data) != len(data):
                raise ValueError(f"cannot write {str(self.results)!r}: the disk is full")
        self.lines[line["id"]] = line

    def finish(self, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        """Rewrite the results in the order of the entries, and return their lines."""
        lines = [self.lines[entry.id] for entry in entries if entry.id in self.lines]
        data = b"".join(map(_encoded, lines))
        if data != self._raw():
            replace(self.results, data)
        return lines

    def _read(self, run: Mapping[str, Any], entries: Mapping[str, Entry]) -> tuple[dict[str, dict[str, Any]], str]:
        """The lines of this run by their ids, and the first reason why others are not, which is empty without them."""
        known, wrong = dict[str, dict[str, Any]](), ""
        lines = self._raw().split(b"\n")
        for number, text in enumerate(lines, start=1):
            try:
                line = json.loads(text)
                entry = entries[line["id"]]
                reason = mismatch(line, entry, run)
                if line["status"] != "drawn" and not isinstance(line["error"], str):
                    raise ValueError
                _encoded(line)
            except (ValueError, TypeError, KeyError, RecursionError):
                if not text.strip() or number == len(lines):  # half a line at the end, after an interruption
                    continue
                reason = "this is not a line of this run"
            if not reason:
                known[entry.id] = line
            wrong = wrong or (reason and f"{self.results}:{number}: {reason}")
        return known, wrong

    def _raw(self) -> bytes:
        return self.results.read_bytes() if self.results.exists() else b""


def _line_of(path: Path, record: Mapping[str, Any] | None, entry: Entry, run: Mapping[str, Any]) -> dict[str, Any]:
    """The line of an image that exists. Raises ValueError for an image of another run."""
    reason, line = "it has no settings of fewpass", dict[str, Any]()
    if record:
        try:
            reason = mismatch(record, entry, run)
            line = drawn_line(entry, record)
            _encoded(line)
        except (KeyError, TypeError, ValueError, RecursionError):
            reason = reason or "its settings are incomplete"
    if reason:
        raise ValueError(f"{str(path)!r} is not an image of this run: {reason}; move it out of the folder")
    return line


def mismatch(found: Mapping[str, Any], entry: Entry, run: Mapping[str, Any]) -> str:
    """The first difference between a record or a line of the results and an entry of `run`, empty if there is none.

    Keys that `found` lacks, as lines of failures do, are not compared, except prompt and seed.
    """
    options = json.loads(json.dumps(entry.options))
    known = {**found.get("settings", {}), **found}
    about = {**options, "model": run["model"], "dtype": run["dtype"], "options": options}
    wanted = {name: value for name, value in about.items() if value is not None and name in known}
    for name, value in {"id": entry.id, "prompt": entry.prompt, "seed": entry.seed, **wanted}.items():
        if known.get(name) != value:
            return f"its {name} is {reprlib.repr(known.get(name))}, not {reprlib.repr(value)}"
    return ""


def _encoded(line: Mapping[str, Any]) -> bytes:
    text = json.dumps(line, ensure_ascii=False)
    return text.encode(errors="backslashreplace") + b"\n"  # bytes in a path that are not UTF-8, as JSON escapes them
