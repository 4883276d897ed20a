"""Initial weights, from the checkpoint folder of a stage or from an exported model."""

from pathlib import Path

from torch import Tensor
from transformers import JanusForConditionalGeneration

from . import checkpoint

INSIDE = "model.vqmodel."


def vq_weights(folder: Path) -> dict[str, Tensor]:
    if _exported(folder):
        weights = JanusForConditionalGeneration.from_pretrained(folder).state_dict()
        return {name.removeprefix(INSIDE): value for name, value in weights.items() if name.startswith(INSIDE)}
    return _checkpoint(folder)["model"]


def transformer_weights(folder: Path) -> dict[str, Tensor]:
    if _exported(folder):
        return JanusForConditionalGeneration.from_pretrained(folder).state_dict()
    return _checkpoint(folder)["average"]


def _exported(folder: Path) -> bool:
    return (folder / "config.json").exists()


def _checkpoint(folder: Path) -> dict:
    state = checkpoint.load(folder)
    if state is None:
        raise ValueError(f"{str(folder)!r} is neither a checkpoint folder nor an exported model")
    return state
