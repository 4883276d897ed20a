"""How a checkpoint was read: its prompt, guidance rows, sizes and defaults, for a person to compare."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from fewpass.core.canvas import Grid
from fewpass.core.errors import ModelError
from fewpass.models.base import Model
from fewpass.models.files import read_json
from fewpass.testing.probe import Probe

SHOWN = 8  # ids of a prompt at either end


@dataclass(frozen=True)
class Line:
    """One line of a report. `passed` is None where a person has to judge."""

    part: str
    what: str
    found: str
    passed: bool | None = None


def describe(model: Model, folder: Path, prompt: str, grid: Grid) -> Iterator[Line]:
    """How a model reads its `folder`, and `prompt` for an image with the layout `grid`."""
    family = model.model.config.model_type
    yield Line("model", "family", f"{family}, drawn by {type(model).__module__}.{type(model).__name__}")
    for note in model.notes:
        yield Line("model", "note", note)
    yield from _defaults(model, folder)
    yield from _prompt(model, prompt, grid)
    yield from _sizes(model, grid)


def _defaults(model: Model, folder: Path) -> Iterator[Line]:
    own = {"guidance_scale": model.guidance, **vars(model.sampling)}
    configs = sorted((path for path in folder.glob("**/*config.json") if path.is_file()), reverse=True)
    known = [(path, read_json(path)) for path in configs if path.name in ("generation_config.json", "config.json")]
    if (own_file := folder / "fewpass.json").is_file():
        given = read_json(own_file)
        known.insert(0, (own_file, {"guidance_scale": given.get("guidance"), **given}))
    for name, value in own.items():
        found = [path.relative_to(folder).as_posix() for path, config in known if config.get(name) == value]
        source = found[0] if found else "the class of its family"
        yield Line("defaults", name, f"{value:g}, from {source}")


def _prompt(model: Model, prompt: str, grid: Grid) -> Iterator[Line]:
    yield Line("prompt", "text", repr(prompt))
    try:
        rows = model.read(prompt, None, grid, model.guidance)
    except ValueError as error:
        yield Line("prompt", "ids", str(error), passed=False)
        return
    for name, row in zip(["conditional row", "unconditional row"], rows, strict=False):
        yield Line("prompt", name, spelled(model, row))
    if len(rows) == 1:
        yield Line("prompt", "unconditional row", "none: the guidance scale is 1")
    try:
        model.check_pictures([prompt])
    except ValueError as error:
        yield Line("prompt", "pictures", str(error), passed=False)


def spelled(model: Model, row: Tensor) -> str:
    """The first and the last ids of a row, each with its word; of features their shape."""
    if row.is_floating_point():
        return f"{row.shape[0]} features of width {row.shape[1]}"
    if model.labels:
        return f"class {int(row)}" if int(row) < model.labels else "no class"
    try:
        words = model.tokenizer.convert_ids_to_tokens(row.tolist())
    except ValueError:
        words = ["?"] * len(row)
    pairs = [f"{number} {word}" for number, word in zip(row.tolist(), words, strict=True)]
    if len(pairs) > 2 * SHOWN:
        pairs = [*pairs[:SHOWN], "...", *pairs[-SHOWN:]]
    return f"{len(row)} ids: " + " | ".join(pairs)


def _sizes(model: Model, grid: Grid) -> Iterator[Line]:
    try:
        pictures = model.pixels(Probe(model, grid, 0).images[:1], grid)
    except (ValueError, ModelError) as error:
        yield Line("sizes", "pixels of random codes", str(error), passed=False)
        return
    elsewhere = type(model).pictures is not Model.pictures
    found = "not tested, they are made by another program" if elsewhere else "finite"
    yield Line("sizes", "pixels of random codes", found, passed=None if elsewhere else True)
    cell, ends = pictures.shape[1] // grid.rows, grid.cols - pictures.shape[2] * grid.rows // pictures.shape[1]
    try:
        own = model.grid(None)
        why = f", {model.size_source}" if model.size_source else ""
        yield Line("sizes", "default", f"{(own.cols - ends) * cell}x{own.rows * cell}{why}")
    except ValueError as error:
        yield Line("sizes", "default", f"none: {error}")
