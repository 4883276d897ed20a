"""The exact distribution of the next token of a scene, given the tokens before it, by counting.

The positions of things are random, and a thing begins at one token in 256. A model trained on such random events is
slow to fit their probabilities: most of its gradient is noise. But `render.place` draws uniformly among the
valid positions, so that the images of a scene that begin with the same tokens can be counted. Trained on the resulting
distribution, the model gets the expectation of the loss over the next token instead of a sample of it.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from training.scenes import Scene, Thing

from .object_tokens import ObjectTokens, square
from .presets import Preset
from .render import Placed, apart, related

Begun = list[tuple[int, int]]  # kind and corner of each thing, in the order of their first tokens


class Begins(NamedTuple):
    """One kind of thing at each of its corners [C]: index and value of its first token unlike the background."""

    index: np.ndarray
    token: np.ndarray


def observed_token(tokens: np.ndarray, blank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [N] with probability one, as by `next_token_distribution`; `blank` are those of the background [N]."""
    shows = tokens != blank
    return np.stack([blank, tokens, tokens], 1), np.stack([~shows, shows, np.zeros_like(shows)], 1).astype(np.float32)


def next_token_distribution(
    scene: Scene, placed: list[Placed], object_tokens: ObjectTokens
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates at each position [N, 3], the background's token first, and their probabilities [N, 3].

    Two corners with the same first visible token of a thing count as one, that of `placed`.
    """
    tokens, blank = (object_tokens.compose(items, scene.background).numpy() for items in (placed, []))
    candidates, p = observed_token(tokens, blank)
    kinds = list(dict.fromkeys(scene.objects))
    begins = [_begins(kind, scene.background, object_tokens) for kind in kinds]
    corners = _corners(object_tokens.preset).tolist()
    things = [(kinds.index(item.thing), corners.index([item.x, item.y])) for item in placed]
    things.sort(key=lambda thing: begins[thing[0]].index[thing[1]])

    start = 0
    for number in range(len(things) + 1):
        begun = things[:number]
        stop = begins[things[number][0]].index[things[number][1]] + 1 if number < len(things) else len(tokens)
        here = np.arange(start, stop)[~_covered(begun, begins, object_tokens.preset)[start:stop]]
        weights = _continuations(scene, begun, begins, object_tokens.preset)
        p[here], candidates[here, 1:] = 0, blank[here, None]
        left = sum(np.bincount(b.index, w, len(tokens)) for b, w in zip(begins, weights, strict=True))
        left = left[::-1].cumsum()[::-1]
        for way, (begin, weight) in enumerate(zip(begins, weights, strict=True), 1):
            begins_here = np.bincount(begin.index, weight, len(tokens)) / left.clip(min=1)
            first = np.zeros_like(tokens)
            first[begin.index] = begin.token
            p[here, way], candidates[here, way] = begins_here[here], first[here]
        p[here, 0] = 1 - p[here, 1:].sum(1)
        start = stop
    return candidates, p


def _continuations(scene: Scene, begun: Begun, begins: list[Begins], preset: Preset) -> list[np.ndarray]:
    """Number of ways to complete the scene if the next thing has this kind and corner: [C] for each kind."""
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
    """Number of sets of `length` corners that begin with each corner [C] and whose pairs `later` [C, C] all allows."""
    if length < 3:
        return later.sum(1) if length == 2 else np.ones(len(later))
    if length == 3:
        return ((later @ later) * later).sum(1)
    after = [np.flatnonzero(row) for row in later]
    return np.array([_chains(later[np.ix_(those, those)], length - 1).sum() for those in after])


def _covered(begun: Begun, begins: list[Begins], preset: Preset) -> np.ndarray:
    """Positions whose token is that of a thing already begun [N]: in its square, from its first visible token on."""
    covered = np.zeros(preset.rows**2, bool)
    for kind, corner in begun:
        here = np.zeros((preset.rows, preset.rows), bool)
        here[square(*_corners(preset)[corner].tolist(), preset.many[0])] = True
        covered |= here.flatten() & (np.arange(preset.rows**2) >= begins[kind].index[corner])
    return covered


def _begins(thing: Thing, background: str, object_tokens: ObjectTokens) -> Begins:
    size, corners = object_tokens.preset.many[0], _corners(object_tokens.preset)
    blank = object_tokens.compose([], background).numpy()
    drawn = np.stack(
        [object_tokens.compose([Placed(thing, x, y, size)], background).numpy() for x, y in corners.tolist()]
    )
    index = (drawn != blank).argmax(1)
    return Begins(index, drawn[np.arange(len(drawn)), index])


@cache
def _corners(preset: Preset) -> np.ndarray:
    """The corners that `render.place` draws from: [C, 2], x and y in pixels."""
    if {*preset.one, *preset.many} != {preset.many[0]}:
        raise ValueError(f"things must be of one size, got {preset.one} and {preset.many}")
    steps = np.arange((preset.image - preset.many[0]) // preset.align + 1) * preset.align
    return np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)


@cache
def _pairs(preset: Preset, relation: str | None) -> np.ndarray:
    """Whether a first and a second thing may have these corners, bool [C, C]."""
    corners, size = _corners(preset), preset.many[0]
    pairs = corners[:, None].repeat(len(corners), 1), corners[None].repeat(len(corners), 0)
    both = np.stack(pairs, 2).reshape(-1, 2, 2)
    kept = [apart(pair, size + preset.gap) and related(pair, relation, size) for pair in both]
    return np.array(kept).reshape(len(corners), len(corners))
