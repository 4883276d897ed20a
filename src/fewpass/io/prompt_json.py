"""Prompts in JSON: lines of objects, lists of prompts, captions of COCO."""

import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fewpass.io.prompt_rows import Row, lines

FROM_NAMES = ("item_id", "style", "index")  # tags from the names of files and the order in them
DIGITS = 40  # longer numbers are not whole: none of them is a seed


def read_json_lines(name: str, text: str) -> Iterator[Row]:
    """An object with a `prompt` on each line."""
    for place, line in lines(name, text):
        yield _object(place, _parsed(place, line))


def read_json(name: str, text: str) -> Iterator[Row]:
    """A list of prompts or objects, as HPSv2 has one for each style, or captions of COCO."""
    given = _parsed(name, text)
    if not isinstance(given, list):
        yield from _captions(name, given)
        return
    for number, prompt in enumerate(given):
        place = f"{name}: prompt {number}"
        if isinstance(prompt, dict):
            yield _object(place, prompt)
        else:
            yield Row(prompt, place, tags={"style": Path(name).stem, "index": number})


def _object(place: str, given: Any) -> Row:
    if not isinstance(given, dict):
        raise ValueError(f'{place}: a line must be an object like {{"prompt": "..."}}, got {reprlib.repr(given)}')
    if "prompt" not in given:
        raise ValueError(f"{place}: there is no 'prompt' in {reprlib.repr(given)}")
    return Row.of(place, given)


def _captions(name: str, given: Any) -> Iterator[Row]:
    """Captions of COCO: {"images": [{"id", "file_name"}], "annotations": [{"id", "image_id", "caption"}]}."""
    captions = given.get("annotations") if isinstance(given, dict) else None
    if not isinstance(captions, list):
        raise ValueError(f"{name}: a .json file has a list of prompts, or captions as COCO has them, in 'annotations'")
    images = given.get("images", [])
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise ValueError(f"{name}: 'images' must be a list of objects")
    files = {str(image.get("id")): image.get("file_name") for image in images}
    for number, caption in enumerate(captions):
        place = f"{name}: annotations[{number}]"
        if not isinstance(caption, dict) or not {"id", "image_id", "caption"} <= caption.keys():
            raise ValueError(f"{place}: a caption has 'id', 'image_id' and 'caption'")
        tags = {"image_id": caption["image_id"], "file_name": files.get(str(caption["image_id"]))}
        tags = {key: value for key, value in tags.items() if value is not None}
        yield Row(caption["caption"], place, {"id": caption["id"]}, tags)


def _parsed(place: str, text: str) -> Any:
    """Parse JSON, but refuse values that UTF-8 and JSON cannot hold: NaN, infinity, half of a character."""
    try:
        value = json.loads(text, parse_int=_whole)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: this is no JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{place}: JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return value


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS else float(digits)
