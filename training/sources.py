"""Weights to start from: a stage's checkpoint folder, or an exported model."""

from pathlib import Path

from torch import Tensor
from transformers import JanusForConditionalGeneration

from . import checkpoint

INSIDE = "model.vqmodel."


def vq_weights(place: Path) -> dict[str, Tensor]:
    if _exported(place):
        weights = JanusForConditionalGeneration.from_pretrained(place).state_dict()
        return {name.removeprefix(INSIDE): value for name, value in weights.items() if name.startswith(INSIDE)}
    return _checkpoint(place)["model"]


def transformer_weights(place: Path) -> dict[str, Tensor]:
    if _exported(place):
        return JanusForConditionalGeneration.from_pretrained(place).state_dict()
    return _checkpoint(place)["average"]


def _exported(place: Path) -> bool:
    return (place / "config.json").exists()


def _checkpoint(place: Path) -> dict:
    state = checkpoint.load(place)
    if state is None:
        raise ValueError(f"{str(place)!r} is neither a checkpoint folder nor an exported model")
    return state
