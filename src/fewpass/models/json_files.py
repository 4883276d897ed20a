"""The JSON files of a checkpoint, read and checked; an unfit value is refused with its file and key."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as brief
from typing import Any

from fewpass.models.weights import failure

LARGEST = 2**63 - 1  # the largest whole number that torch takes
DEPTH = 100  # of lists and objects in each other


@dataclass(frozen=True)
class Kind:
    """A kind of value; `name` completes "must be"."""

    name: str
    fits: Callable[[Any], bool]


def number(name: str, least: float = -math.inf, most: float = math.inf) -> Kind:
    return Kind(name, lambda value: type(value) in (int, float) and least <= value <= most)


def whole(name: str, least: int, most: int = LARGEST) -> Kind:
    return Kind(name, lambda value: type(value) is int and least <= value <= most)


def list_of(name: str, kind: Kind) -> Kind:
    return Kind(name, lambda value: isinstance(value, list) and bool(value) and all(map(kind.fits, value)))


def object_of(name: str, kind: Kind) -> Kind:
    return Kind(name, lambda value: isinstance(value, dict) and all(map(kind.fits, value.values())))


def either(first: Kind, second: Kind) -> Kind:
    return Kind(f"{first.name} or {second.name}", lambda value: first.fits(value) or second.fits(value))


def _stays_inside(path: object) -> bool:
    """False for a path that leads out of the folder it starts from."""
    parts = re.split(r"[/\\]", path) if isinstance(path, str) else [""]
    return parts[0] != "" and ".." not in parts and not any(sign in str(path) for sign in ":\0")


ANY = Kind("anything", lambda value: True)
TEXT = Kind("a text", lambda value: isinstance(value, str))
NAME = Kind("a name", lambda value: TEXT.fits(value) and bool(value.strip()))
OBJECT = object_of("an object", ANY)
POSITIVE = whole("a whole number >= 1", 1)
TOKEN = whole("a token id", 0)
LAYERS = whole("a whole number from 0 to 1000", 0, 1000)  # a million takes minutes to build
INSIDE = Kind("a file in the folder of the checkpoint", _stays_inside)
CONFIG = {  # the keys that fewpass uses, at any depth; null is the same as no value
    "model_type": TEXT,
    "architectures": list_of("a list of texts", TEXT),
    "vocabulary_map": object_of("an object of token ids", TOKEN),
    "num_hidden_layers": LAYERS,
    "depth": LAYERS,
    "num_res_blocks": LAYERS,
    "channel_multiplier": list_of("a list of whole numbers >= 1", POSITIVE),
    "max_position_embeddings": POSITIVE,
    "num_image_tokens": Kind("a square number", lambda value: POSITIVE.fits(value) and math.isqrt(value) ** 2 == value),
    "resolution": POSITIVE,
    "image_end_token_id": TOKEN,
    "eos_token_id": either(TOKEN, list_of("a list of token ids", TOKEN)),
    "transformers_weights": INSIDE,
}
GENERATION = {
    "temperature": number("a number >= 0", 0, LARGEST),
    "top_k": whole("a whole number >= 0", 0),
    "top_p": number("a number from 0 to 1", 0, 1),
    "min_p": number("a number from 0 to 1", 0, 1),
    "guidance_scale": number("a number", -LARGEST, LARGEST),
    "generation_kwargs": OBJECT,
    "boi_token_id": TOKEN,
    "bos_token_id": TOKEN,
    "pad_token_id": TOKEN,
}
FEWPASS = {  # fewpass.json, beside files without a model's settings
    "size": whole("a whole number of pixels >= 1", 1, 2**14),
    "classes": list_of("a list of names", NAME),
    "guidance": number("a number >= 0", 0, 1e6),
    **{name: GENERATION[name] for name in ("temperature", "top_k", "top_p")},
}
TEMPLATE = either(TEXT, list_of("a list of templates", OBJECT))
KEYS = {
    "config.json": CONFIG,
    "generation_config.json": GENERATION,
    "fewpass.json": FEWPASS,
    "tokenizer_config.json": {"model_max_length": number("a number"), "chat_template": TEMPLATE},
    "chat_template.json": {"chat_template": TEMPLATE},
    "model.safetensors.index.json": {"weight_map": object_of("an object of files in the folder", INSIDE)},
    "pytorch_model.bin.index.json": {"weight_map": object_of("an object of files in the folder", INSIDE)},
    "model_index.json": {"_class_name": TEXT},
    "adapter_config.json": {"base_model_name_or_path": TEXT},
}


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, its values checked if the file is one of `KEYS`.

    Raises:
        ValueError: The file cannot be read, or a value is of another kind; names file and key.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a regular file")
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except RecursionError:
        raise ValueError(f"cannot read {path}: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {failure(error, path)}") from None
    if not isinstance(content, dict):
        raise ValueError(f"cannot read {path}: it is not a JSON object")
    check_values(content, KEYS.get(path.name, {}), path)
    return content


def read_config(path: Path) -> dict[str, Any]:
    """A config.json by any name; see `read_json`."""
    content = read_json(path)
    check_values(content, CONFIG, path)
    return content


def check_values(content: dict[str, Any], kinds: dict[str, Kind], where: Path) -> None:
    """Raise ValueError if a value of a key of `kinds`, at any depth, is of another kind, or a number too large.

    An object that has a kind of its own is not looked into any further.
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((name,), value) for name, value in content.items()]
    while waiting:
        keys, value = waiting.pop()
        kind = kinds.get(keys[-1])
        if kind is not None and value is not None and not kind.fits(value):
            raise ValueError(f"{where}: {'.'.join(keys)} must be {kind.name}, got {brief(value)}")
        if len(keys) > DEPTH:
            raise ValueError(f"cannot read {where}: it is nested too deeply")
        if kind in (None, OBJECT):
            items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            waiting += [((*keys, str(name)), inner) for name, inner in items]


def _no_number(sign: str) -> float:
    raise ValueError(f"{sign} is not a number in JSON")
