"""The tokens of three seeds per recipe, as they have been drawn since the last time they were meant to change."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import fewpass
from fewpass import RECIPES
from fewpass.testing import Toy, drawn
from tests.toys import PLAIN, WIDE
from training.scenes import held_out_prompts

HERE = Path(__file__).parent
SEEDS = [0, 1, 2**40]
Images = list[list[int]]


def toy(name: str) -> Images:
    return drawn(Toy(len(SEEDS), WIDE, guidance=1.5), RECIPES[name](), PLAIN, torch.tensor(SEEDS)).tolist()


def emoji(name: str) -> Images:
    """In float64: the last bits of float32, and an arg-max now and then, differ from processor to processor."""
    model = fewpass.load("emoji", "cpu", "float64")
    return model("two stars on a blue background", decoder=name, seed=SEEDS).tokens.tolist()


MODELS = {"toy": toy, "emoji": emoji}
# The toy sees every change of a recipe; the bundled model, every change of weights, prompts, guidance or session, which
# one recipe of each kind of query sees as well as all.
DRAWN = {"toy": list(RECIPES), "emoji": ["ar", "jacobi_ngram", "mc_sjd", "zipar"]}

FLOAT32 = HERE / "emoji_float32.npz"  # tokens [100, 256] of the first 100 held-out prompts, image i with the seed i


def float32() -> np.ndarray:
    """The images that people get: in float32, with the decoder that is the default. Rounding may change a few."""
    prompts = list(held_out_prompts()[:100])
    model = fewpass.load("emoji", "cpu", "float32")
    return np.concatenate(
        [model(prompts[i : i + 10], seed=i).tokens.numpy().astype(np.uint16) for i in range(0, len(prompts), 10)]
    )


def path(model: str) -> Path:
    return HERE / f"{model}.json"


def frozen(model: str) -> dict[str, Images]:
    return json.loads(path(model).read_text())


def freeze(model: str) -> Iterator[str]:
    """Draw everything anew and write it down; yields the recipes as they are done."""
    if model == "float32":
        np.savez_compressed(FLOAT32, tokens=float32())
        yield "the default decoder"
        return
    images = {}
    for name in DRAWN[model]:
        images[name] = MODELS[model](name)
        yield name
    path(model).write_text(json.dumps(images).replace("]], ", "]],\n").replace("{", "{\n").replace("}", "\n}\n"))
