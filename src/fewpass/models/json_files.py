"""The JSON files of a checkpoint."""

import json
from pathlib import Path
from reprlib import repr as brief
from typing import Any

from fewpass.models.weights import failure

LAYERS = ("num_hidden_layers", "depth", "num_res_blocks")
DEEPEST = 1000  # layers: a million takes minutes to build


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, whose values are checked where they are used.

    Raises:
        ValueError: The file cannot be read, or describes far too many layers; names the file.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a regular file")
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=_no_number, object_hook=_with_few_layers)
    except RecursionError:
        raise ValueError(f"cannot read {path}: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {failure(error, path)}") from None
    if not isinstance(content, dict):
        raise ValueError(f"cannot read {path}: it is not a JSON object")
    return content


def _with_few_layers(content: dict[str, Any]) -> dict[str, Any]:
    for name in LAYERS:
        if isinstance(number := content.get(name), int) and number > DEEPEST:
            raise ValueError(f"{name} must be at most {DEEPEST}, got {brief(number)}")
    return content


def _no_number(sign: str) -> float:
    raise ValueError(f"{sign} is not a number in JSON")
