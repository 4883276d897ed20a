"""The law of the next token of a scene, given the tokens before it: exact, by counting.

Where a thing begins is a matter of chance, and one event among 256 tokens. A model trained on these events alone is
slow to learn how likely they are: most of its gradient is their noise. But `render.place` draws evenly among the
admissible positions, so for a scene and the things already begun one can count in how many ways it goes on. That is
the expectation of the loss over all that might have come next, in place of its value for what did.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from training.scenes import Scene, Thing

from .presets import Preset
from .render import Placed, apart, related
from .spelling import Spelling, square

Begun = list[tuple[int, int]]  # kind and corner of each thing, in the order in which they show


class Begins(NamedTuple):
    """One kind of thing at every corner it may have [C]: the index and the value of its first token that shows."""

    index: np.ndarray
    token: np.ndarray


def hindsight(tokens: np.ndarray, blank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [N] over the background's [N] as if nothing else could have come, in the form of `foresight`."""
    shows = tokens != blank
    return np.stack([blank, tokens, tokens], 1), np.stack([~shows, shows, np.zeros_like(shows)], 1).astype(np.float32)


def foresight(scene: Scene, placed: list[Placed], spelling: Spelling) -> tuple[np.ndarray, np.ndarray]:
    """What may come next at each place: tokens [N, 3], the background's first, and their probabilities [N, 3].

    Two corners at which the same thing begins with the same token count as the one it has.
    """
    tokens, blank = (spelling.tokens(items, scene.background).numpy() for items in (placed, []))
    ways, p = hindsight(tokens, blank)
    kinds = list(dict.fromkeys(scene.objects))
    begins = [_begins(kind, scene.background, spelling) for kind in kinds]
    corners = _corners(spelling.preset).tolist()
    things = [(kinds.index(item.thing), corners.index([item.x, item.y])) for item in placed]
    things.sort(key=lambda thing: begins[thing[0]].index[thing[1]])

    start = 0
    for number in range(len(things) + 1):
        begun = things[:number]
        stop = begins[things[number][0]].index[things[number][1]] + 1 if number < len(things) else len(tokens)
        here = np.arange(start, stop)[~_covered(begun, begins, spelling.preset)[start:stop]]
        weights = _continuations(scene, begun, begins, spelling.preset)
        p[here], ways[here, 1:] = 0, blank[here, None]
        left = sum(np.bincount(b.index, w, len(tokens)) for b, w in zip(begins, weights, strict=True))
        left = left[::-1].cumsum()[::-1]
        for way, (begin, weight) in enumerate(zip(begins, weights, strict=True), 1):
            chance = np.bincount(begin.index, weight, len(tokens)) / left.clip(min=1)
            first = np.zeros_like(tokens)
            first[begin.index] = begin.token
            p[here, way], ways[here, way] = chance[here], first[here]
        p[here, 0] = 1 - p[here, 1:].sum(1)
        start = stop
    return ways, p


def _continuations(scene: Scene, begun: Begun, begins: list[Begins], preset: Preset) -> list[np.ndarray]:
    """Per kind and corner [C]: in how many ways the scene goes on if the next thing to begin is of this kind, there."""
    pairs = _pairs(preset, scene.relation)
    if len(begun) == len(scene.objects):
        return [np.zeros(len(pairs)) for _ in begins]
    if scene.relation is None:
        (index, _), last = begins[0], begun[-1][1] if begun else None
        free = pairs[[corner for _, corner in begun]].all(0) & (True if last is None else index > index[last])
        later = pairs & free[:, None] & free & (index[:, None] < index)
        return [free * _chains(later.astype(np.float32), len(scene.objects) - len(begun))]
    first, second = (begin.index for begin in begins)
    sooner, later = pairs & (first[:, None] < second), pairs & (first[:, None] > second)
    if not begun:
        return [sooner.sum(1), later.sum(0)]
    ((kind, corner),) = begun
    nowhere = np.zeros(len(pairs))
    return [nowhere, sooner[corner]] if kind == 0 else [later[:, corner], nowhere]


def _chains(later: np.ndarray, length: int) -> np.ndarray:
    """How many sets of so many corners, each two of them joined by `later` [C, C], have their first here [C]."""
    if length < 3:
        return later.sum(1) if length == 2 else np.ones(len(later))
    if length == 3:
        return ((later @ later) * later).sum(1)
    after = [np.flatnonzero(row) for row in later]
    return np.array([_chains(later[np.ix_(those, those)], length - 1).sum() for those in after])


def _covered(begun: Begun, begins: list[Begins], preset: Preset) -> np.ndarray:
    """Where a thing already begun decides the token [N]: in its square, from its first token that shows."""
    covered = np.zeros(preset.rows**2, bool)
    for kind, corner in begun:
        here = np.zeros((preset.rows, preset.rows), bool)
        here[square(*_corners(preset)[corner].tolist(), preset.many[0])] = True
        covered |= here.flatten() & (np.arange(preset.rows**2) >= begins[kind].index[corner])
    return covered


def _begins(thing: Thing, background: str, spelling: Spelling) -> Begins:
    size, corners = spelling.preset.many[0], _corners(spelling.preset)
    blank = spelling.tokens([], background).numpy()
    drawn = np.stack([spelling.tokens([Placed(thing, x, y, size)], background).numpy() for x, y in corners.tolist()])
    index = (drawn != blank).argmax(1)
    return Begins(index, drawn[np.arange(len(drawn)), index])


@cache
def _corners(preset: Preset) -> np.ndarray:
    """Where `render.place` puts things: [C, 2], x and y in pixels."""
    if {*preset.one, *preset.many} != {preset.many[0]}:
        raise ValueError(f"foresight wants things of one size, not of {preset.one} and {preset.many}")
    steps = np.arange((preset.image - preset.many[0]) // preset.align + 1) * preset.align
    return np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)


@cache
def _pairs(preset: Preset, relation: str | None) -> np.ndarray:
    """Which corners of a first and a second thing may go together, bool [C, C]."""
    corners, size = _corners(preset), preset.many[0]
    pairs = corners[:, None].repeat(len(corners), 1), corners[None].repeat(len(corners), 0)
    both = np.stack(pairs, 2).reshape(-1, 2, 2)
    kept = [apart(pair, size + preset.gap) and related(pair, relation, size) for pair in both]
    return np.array(kept).reshape(len(corners), len(corners))
