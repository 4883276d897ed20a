"""Random training scenes: no held-out prompts, no objects in the colour of the background."""

import numpy as np

from training.scenes import KINDS, Scene, vocabulary

from .prompts import drawable, held_out, plain_prompt, prompt_of
from .words import encode, unconditional

UNCONDITIONAL = 0.1  # share of the scenes trained on without their prompt, for guidance
SHARES = (0.25, 0.35, 0.40)  # single, count, relation


def random_scene(rng: np.random.Generator) -> Scene:
    words = vocabulary()
    while True:
        kind = rng.choice(KINDS, p=SHARES)
        background = str(rng.choice(list(words.backgrounds)))
        first, second = (words.things[i] for i in rng.choice(len(words.things), 2, replace=False))
        if kind == "relation":
            scene = Scene(background, (first, second), relation=str(rng.choice(words.relations)))
        else:
            scene = Scene(background, (first,), int(rng.choice(list(words.count_words))) if kind == "count" else 1)
        if drawable(scene) and not held_out(scene):
            return scene


def random_ids(scene: Scene, rng: np.random.Generator) -> tuple[list[int], bool]:
    """Ids of a prompt, and whether it is conditional; one in ten has the form of `plain_prompt`."""
    ids = encode(plain_prompt(scene) if rng.random() < 0.1 else prompt_of(scene))
    return (unconditional(ids), False) if rng.random() < UNCONDITIONAL else (ids, True)
