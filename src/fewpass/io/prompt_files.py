"""Files of prompts: plain text, tables, JSON, and the files that benchmarks publish theirs in."""

import codecs
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from fewpass.io.atomic import located
from fewpass.io.prompt_rows import SEPARATORS, Row, columns_of, lines, read_csv, read_json, read_json_lines, read_tsv


def read_rows(path: str | Path) -> list[Row]:
    """Read a file of prompts, by its suffix, or a folder of such files.

    .txt, a file without a suffix, and `-`, standard input, have one prompt per line. .csv and .tsv have a heading with
    a column `prompt`; a .tsv has no quotes. .jsonl has an object with a `prompt` per line. PartiPrompts' .tsv and
    GenEval's .jsonl are known by their columns. .json is captions as COCO has them, or a list of prompts, as HPSv2 has
    one for each style. A folder has .json files, or .txt files of one prompt each, as DPG-Bench has them.

    Text is UTF-8, or UTF-16 with a byte order mark. Blank lines are skipped, and so are those of separators alone.
    Raises ValueError naming the file, the line and the fault.
    """
    name, path = str(path), located(path)
    if path.is_dir():
        return _folder(name, path)
    read = READERS.get(path.suffix.lower() or ".txt")
    if read is None:
        raise ValueError(f"{name!r}: a file of prompts ends in one of {', '.join(READERS)}")
    rows = list(read(name, _text(name, path)))
    if not rows:
        raise ValueError(f"there is no prompt in {name!r}")
    return rows


def _folder(name: str, folder: Path) -> list[Row]:
    texts = sorted(folder.glob("*.txt"), key=lambda file: (len(file.stem), file.stem))  # 1.txt, 2.txt, 10.txt
    styles = sorted(folder.glob("*.json"))
    if bool(texts) == bool(styles):
        raise ValueError(f"{name!r} is a folder of neither .txt files, one prompt each, nor .json files, a style each")
    whole = [Row(" ".join(_text(str(file), file).split()), str(file), tags={"item_id": file.stem}) for file in texts]
    return whole or [row for file in styles for row in read_rows(file)]


def _text(name: str, path: Path) -> str:
    raw = b""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
        text = raw.decode("utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read {name!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = 1 + raw[: error.start].count(b"\n")
        raise ValueError(f"{name}:{line}: this is not text in UTF-8: save the file as UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{name}: this is not text in UTF-8: it has bytes that are 0")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(name: str, text: str) -> Iterator[Row]:
    for number, (place, line) in enumerate(lines(name, text)):
        if not number and any("prompt" in columns_of(line.split(separator)) for separator in SEPARATORS):
            raise ValueError(f"{place}: {line.strip()[:80]!r} is the heading of a table: name the file .csv or .tsv")
        if line.lstrip().startswith('{"'):
            raise ValueError(f"{place}: {line.strip()[:80]!r} is JSON: name the file .jsonl")
        yield Row(line, place)


READERS: dict[str, Callable[[str, str], Iterator[Row]]] = {
    ".txt": _plain,
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".jsonl": read_json_lines,
    ".json": read_json,
}
