"""LlamaGen's published files: which is which."""

from pathlib import Path

from torch import Tensor

from fewpass.models.hub import saved_by_torch
from fewpass.models.torch_files import read_weights

Weights = dict[str, Tensor]
IMAGE = "tok_embeddings.weight"  # only language models have it
CODEBOOK = "quantize.embedding.weight"  # only image tokenizers have it
File = tuple[Path, Weights]


def files_of(path: Path) -> tuple[File, File]:
    """The language model and the image tokenizer among the `.pt` files of a folder, or beside the one given."""
    folder = path if path.is_dir() else path.parent
    files = {file: read_weights(file) for file in _candidates(path, folder)}
    if path.is_file() and IMAGE not in files[path]:
        raise ValueError(f"{path} holds no language model: missing weights: {IMAGE}")
    models, tokenizers = ({f: w for f, w in files.items() if name in w} for name in (IMAGE, CODEBOOK))
    drawing = _only(folder, "language model", models, "name the one to draw with, as a file")
    return drawing, _only(
        folder, "image tokenizer", _fitting(drawing[0], tokenizers), "leave the one that belongs to it"
    )


def _candidates(path: Path, folder: Path) -> list[Path]:
    """All files of a folder; with a file, those that by their name are no other language model."""
    files = saved_by_torch(folder)
    return files if path.is_dir() else [path, *(file for file in files if file.name.startswith("vq") and file != path)]


def _fitting(drawing: Path, pictures: dict[Path, Weights]) -> dict[Path, Weights]:
    """Of several image tokenizers those that by their names belong to a language model; all were trained on ds16."""
    kind = drawing.name.partition("_")[0]
    named = {f: w for f, w in pictures.items() if kind in f.name and "ds16" in f.name}
    return named if len(pictures) > 1 and named else pictures


def _only(folder: Path, what: str, files: dict[Path, Weights], choice: str) -> File:
    if not files:
        raise ValueError(f"there is no {what} among the .pt and .pth files in {folder}")
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise ValueError(f"{folder} has several {what}s, {names}: {choice}")
    ((file, weights),) = files.items()
    return file, weights
