"""The tokens of three seeds per recipe, as they have been drawn since the last time they were meant to change."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch

import fewpass
from fewpass import RECIPES
from fewpass.testing import Toy, drawn
from tests.toys import PLAIN, WIDE

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


def path(model: str) -> Path:
    return HERE / f"{model}.json"


def frozen(model: str) -> dict[str, Images]:
    return json.loads(path(model).read_text())


def freeze(model: str) -> Iterator[str]:
    """Draw everything anew and write it down; yields the recipes as they are done."""
    images = {}
    for name in DRAWN[model]:
        images[name] = MODELS[model](name)
        yield name
    path(model).write_text(json.dumps(images).replace("]], ", "]],\n").replace("{", "{\n").replace("}", "\n}\n"))
