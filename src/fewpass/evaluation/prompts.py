"""The prompts of an evaluation: a file, or a benchmark's folder of files, as it is published."""

import json
from pathlib import Path

from fewpass.files import located
from fewpass.prompt_files import Row, read_rows


def read_prompts(path: str | Path) -> list[Row]:
    """The prompts of a file (see `fewpass.prompt_files`), or of a folder as benchmarks publish them.

    DPG-Bench has one .txt file per prompt, HPSv2 one .json list of prompts per style; `tags` say which.

    Raises ValueError naming the file and what is wrong there.
    """
    folder = located(path)
    if not folder.is_dir():
        return read_rows(path)
    texts, styles = sorted(folder.glob("*.txt"), key=_natural), sorted(folder.glob("*.json"))
    if bool(texts) == bool(styles):
        raise ValueError(
            f"{str(path)!r} is a folder of neither .txt files, one prompt each, nor .json files, a style each"
        )
    return [_whole(file) for file in texts] or [row for file in styles for row in _style(file)]


def _whole(file: Path) -> Row:
    return Row(" ".join(_text(file).split()), str(file), tags={"item_id": file.stem})


def _style(file: Path) -> list[Row]:
    try:
        prompts = json.loads(_text(file))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: this is no JSON: {error.msg} in line {error.lineno}") from None
    if not isinstance(prompts, list):
        raise ValueError(f"{file}: a style is a list of prompts")
    place = f"{file}: prompt"
    return [Row(p, f"{place} {i}", tags={"style": file.stem, "index": i}) for i, p in enumerate(prompts)]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read {str(file)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{str(file)!r} is not text in UTF-8") from None


def _natural(file: Path) -> tuple[int, str]:
    """1.txt, 2.txt, 10.txt."""
    return len(file.stem), file.stem
