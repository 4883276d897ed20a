"""Prompts and the scenes they describe: the domain of `emoji`, and the prompts held out of its training."""

import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

Kind = Literal["single", "count", "relation"]
KINDS: tuple[Kind, ...] = ("single", "count", "relation")


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


@dataclass(frozen=True)
class Vocabulary:
    """The words of `vocabulary.json`."""

    things: tuple[Thing, ...]
    backgrounds: dict[str, tuple[int, int, int]]
    count_words: dict[int, str]
    relations: tuple[str, ...]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """All words of prompts, sorted."""
        texts = ["a an on background", *self.backgrounds, *self.count_words.values(), *self.relations]
        texts += [text for thing in self.things for text in (thing.name, thing.names)]
        return tuple(sorted({word for text in texts for word in text.split()}))


@cache
def vocabulary() -> Vocabulary:
    """The words of `emoji`."""
    raw = json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8"))
    things = tuple(Thing(o["singular"], o["plural"], o["emoji"], o["colour"]) for o in raw["objects"])
    backgrounds = {name: tuple(rgb) for name, rgb in raw["backgrounds"].items()}
    counts = {int(n): word for n, word in raw["counts"].items()}
    return Vocabulary(things, backgrounds, counts, tuple(raw["relations"]))


def parse(prompt: str) -> Scene:
    """The scene a prompt describes. ValueError names the invalid part."""
    words = vocabulary()
    text = " ".join(prompt.lower().split())
    found = re.fullmatch(r"(.+) on an? (\w+) background", text)
    if not found or found[2] not in words.backgrounds:
        raise ValueError(
            f"prompt {prompt!r} does not end in 'on a <colour> background' with one of {list(words.backgrounds)}"
        )
    head, background = found.groups()
    for count, word in words.count_words.items():
        if head.startswith(f"{word} "):
            named = {thing.names: thing for thing in words.things}
            return Scene(background, (_lookup(named, head.removeprefix(f"{word} "), prompt),), count)
    relation = next((relation for relation in words.relations if f" {relation} " in head), None)
    named = {thing.name: thing for thing in words.things}
    phrases = head.split(f" {relation} ", 1) if relation else [head]
    things = tuple(_lookup(named, re.sub(r"^an? ", "", phrase), prompt) for phrase in phrases)
    return Scene(background, things, relation=relation)


def _lookup(named: dict[str, Thing], name: str, prompt: str) -> Thing:
    if name not in named:
        raise ValueError(f"unknown object {name!r} in prompt {prompt!r}")
    return named[name]


@cache
def held_out_prompts() -> tuple[str, ...]:
    """The held-out prompts of the score: 67 single, 67 count, 66 relation prompts."""
    return tuple(Path(__file__).with_name("held_out.txt").read_text(encoding="utf-8").splitlines())
