"""Prompts of scenes, and which of them are held out of training: how `held_out.txt` and `evaluation.txt` were made."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import permutations, product

from training.scenes import KINDS, Kind, Scene, vocabulary

MIRROR = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def prompt_of(scene: Scene) -> str:
    return _written(scene, lambda name: "an" if name[0] in "aeiou" else "a")


def plain_prompt(scene: Scene) -> str:
    """The prompt with every article written 'a': the form that decides whether it is held out."""
    return _written(scene, lambda name: "a")


def _written(scene: Scene, article: Callable[[str], str]) -> str:
    first = scene.things[0]
    if scene.count > 1:
        head = f"{vocabulary().count_words[scene.count]} {first.names}"
    else:
        head = f"{article(first.name)} {first.name}"
    if scene.relation:
        head += f" {scene.relation} {article(scene.things[1].name)} {scene.things[1].name}"
    return f"{head} on a {scene.background} background"


def mirror(scene: Scene) -> Scene:
    """The scene whose prompt describes the same image with the opposite relation: A left of B, B right of A."""
    if scene.relation is None:
        return scene
    return Scene(scene.background, scene.things[::-1], scene.count, MIRROR[scene.relation])


def drawable(scene: Scene) -> bool:
    """False where an object's colour equals the background's: such prompts are excluded."""
    return all(thing.colour != scene.background for thing in scene.things)


def held_out(scene: Scene) -> bool:
    """True for scenes that the bundled model was never trained on."""
    prompts = plain_prompt(scene), plain_prompt(mirror(scene))
    return any(int(sha256(prompt.encode()).hexdigest(), 16) % 10 == 0 for prompt in prompts)


def scenes(kind: Kind) -> Iterator[Scene]:
    """Every drawable scene of one kind, held out or not."""
    words = vocabulary()
    if kind == "single":
        every = (Scene(b, (t,)) for b, t in product(words.backgrounds, words.things))
    elif kind == "count":
        every = (Scene(b, (t,), n) for b, t, n in product(words.backgrounds, words.things, words.count_words))
    else:
        pairs = permutations(words.things, 2)
        every = (Scene(b, p, relation=r) for p, b, r in product(pairs, words.backgrounds, words.relations))
    return filter(drawable, every)


def choose_held_out(numbers: tuple[int, int, int] = (67, 67, 66)) -> list[str]:
    """The prompts of `held_out.txt`: `numbers` of single, count and relation prompts. Takes minutes.

    `evaluation.txt` alternates 88, 206 and 206 of them; there are no more single ones.
    """
    chosen: list[str] = []
    for kind, number in zip(KINDS, numbers, strict=True):
        prompts = [prompt_of(scene) for scene in scenes(kind) if held_out(scene)]
        # an order that depends only on the prompts, by another hash than that of `held_out`
        chosen += sorted(prompts, key=lambda p: sha256(f"score {p}".encode()).hexdigest())[:number]
    return chosen
