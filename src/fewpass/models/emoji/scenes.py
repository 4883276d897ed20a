"""Prompts and the scenes they describe: the domain of the bundled model, and the prompts held out of its training."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from itertools import permutations, product
from pathlib import Path
from typing import Literal

Kind = Literal["single", "count", "relation"]
KINDS: tuple[Kind, ...] = ("single", "count", "relation")
MIRROR = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Thing:
    """One of the 86 objects; `colour` is part of its name ("red heart"), or None."""

    singular: str
    plural: str
    emoji: str
    colour: str | None

    @property
    def name(self) -> str:
        return f"{self.colour} {self.singular}" if self.colour else self.singular

    @property
    def names(self) -> str:
        return f"{self.colour} {self.plural}" if self.colour else self.plural


@dataclass(frozen=True)
class Scene:
    """A background and one object, several of one kind (`count`), or two in a relation."""

    background: str
    things: tuple[Thing, ...]
    count: int = 1
    relation: str | None = None

    @property
    def kind(self) -> Kind:
        return "relation" if self.relation else "count" if self.count > 1 else "single"

    @property
    def objects(self) -> tuple[Thing, ...]:
        """Every object in the image, one entry each."""
        return self.things * self.count

    @property
    def drawable(self) -> bool:
        """False where an object's colour equals the background's: such prompts are left out."""
        return all(thing.colour != self.background for thing in self.things)

    @property
    def mirror(self) -> "Scene":
        """The scene that the same image shows in other words: a A left of a B = a B right of a A."""
        if self.relation is None:
            return self
        return Scene(self.background, self.things[::-1], self.count, MIRROR[self.relation])

    @property
    def prompt(self) -> str:
        return self._write(lambda name: "an" if name[0] in "aeiou" else "a")

    @property
    def plain_prompt(self) -> str:
        """The prompt with every article written 'a': the form that decides whether it is held out."""
        return self._write(lambda name: "a")

    def _write(self, article: Callable[[str], str]) -> str:
        if self.count > 1:
            head = f"{vocabulary().count_words[self.count]} {self.things[0].names}"
        else:
            head = f"{article(self.things[0].name)} {self.things[0].name}"
        if self.relation:
            head += f" {self.relation} {article(self.things[1].name)} {self.things[1].name}"
        return f"{head} on a {self.background} background"

    @property
    def held_out(self) -> bool:
        return any(
            int(sha256(p.encode()).hexdigest(), 16) % 10 == 0 for p in (self.plain_prompt, self.mirror.plain_prompt)
        )


@dataclass(frozen=True)
class Vocabulary:
    """The words of `vocabulary.json`."""

    things: tuple[Thing, ...]
    backgrounds: dict[str, tuple[int, int, int]]
    count_words: dict[int, str]
    relations: tuple[str, ...]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word a prompt can hold, sorted."""
        texts = ["a an on background", *self.backgrounds, *self.count_words.values(), *self.relations]
        texts += [text for thing in self.things for text in (thing.name, thing.names)]
        return tuple(sorted({word for text in texts for word in text.split()}))

    @cached_property
    def by_name(self) -> dict[str, Thing]:
        return {thing.name: thing for thing in self.things}

    @cached_property
    def by_names(self) -> dict[str, Thing]:
        return {thing.names: thing for thing in self.things}


@cache
def vocabulary() -> Vocabulary:
    raw = json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8"))
    things = tuple(Thing(o["singular"], o["plural"], o["emoji"], o["colour"]) for o in raw["objects"])
    backgrounds = {name: tuple(rgb) for name, rgb in raw["backgrounds"].items()}
    counts = {int(n): word for n, word in raw["counts"].items()}
    return Vocabulary(things, backgrounds, counts, tuple(raw["relations"]))


def parse(prompt: str) -> Scene:
    """The scene a prompt describes. ValueError names the part that is not understood."""
    words = vocabulary()
    text = " ".join(prompt.lower().split())
    found = re.fullmatch(r"(.+) on an? (\w+) background", text)
    if not found or found[2] not in words.backgrounds:
        raise ValueError(
            f"prompt {prompt!r} does not end in 'on a <colour> background' with one of {list(words.backgrounds)}"
        )
    head, background = found.groups()
    for count, word in words.count_words.items():
        if head.startswith(word + " "):
            return Scene(background, (_lookup(words.by_names, head[len(word) + 1 :], prompt),), count)
    for relation in words.relations:
        left, cut, right = head.partition(f" {relation} ")
        if cut:
            pair = (_lookup(words.by_name, _bare(left), prompt), _lookup(words.by_name, _bare(right), prompt))
            return Scene(background, pair, relation=relation)
    return Scene(background, (_lookup(words.by_name, _bare(head), prompt),))


def _bare(phrase: str) -> str:
    return re.sub(r"^an? ", "", phrase)


def _lookup(names: dict[str, Thing], name: str, prompt: str) -> Thing:
    if name not in names:
        raise ValueError(f"unknown object {name!r} in prompt {prompt!r}")
    return names[name]


def scenes(kind: Kind) -> Iterator[Scene]:
    """Every drawable scene of one kind, held out or not."""
    words = vocabulary()
    if kind == "single":
        every = (Scene(b, (t,)) for b, t in product(words.backgrounds, words.things))
    elif kind == "count":
        every = (Scene(b, (t,), n) for b, t, n in product(words.backgrounds, words.things, words.count_words))
    elif kind == "relation":
        pairs = permutations(words.things, 2)
        every = (Scene(b, p, relation=r) for p, b, r in product(pairs, words.backgrounds, words.relations))
    else:
        raise ValueError(f"kind must be one of {KINDS}, not {kind!r}")
    return (scene for scene in every if scene.drawable)


def held_out(prompt: str) -> bool:
    """Whether the bundled model was never trained on this prompt."""
    return parse(prompt).held_out


@cache
def held_out_prompts() -> tuple[str, ...]:
    """The fixed list the score is measured on: 67 single, 67 count, 66 relation prompts, all held out."""
    return tuple(Path(__file__).with_name("held_out.txt").read_text(encoding="utf-8").splitlines())


@cache
def evaluation_prompts() -> tuple[str, ...]:
    """500 held-out prompts, those of `held_out_prompts` among them; single, count and relation take turns."""
    return tuple(Path(__file__).with_name("evaluation.txt").read_text(encoding="utf-8").splitlines())


def choose_held_out(numbers: tuple[int, int, int] = (67, 67, 66)) -> list[str]:
    """How `held_out.txt` was made: so many single, count and relation prompts; minutes of hashing.

    `evaluation.txt` has 88, 206 and 206 in turns; there are no more single ones.
    """
    chosen: list[str] = []
    for kind, number in zip(KINDS, numbers, strict=True):
        prompts = [scene.prompt for scene in scenes(kind) if scene.held_out]
        # an order that depends on nothing but the prompts, and is not the one that held them out
        chosen += sorted(prompts, key=lambda p: sha256(f"score {p}".encode()).hexdigest())[:number]
    return chosen
