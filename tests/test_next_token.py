"""The distribution of the next token of a training scene, against counts over all images of the scene."""

from itertools import product

import numpy as np
import pytest

next_token = pytest.importorskip("training.next_token")  # the wheel does not carry it
presets, render, object_tokens = (pytest.importorskip(f"training.{n}") for n in ("presets", "render", "object_tokens"))

from training.scenes import Scene, vocabulary  # noqa: E402

TINY = presets.Preset(image=40, align=8, one=(16,), many=(16,), gap=0)
CAT, DOG = vocabulary().things[3], vocabulary().things[7]
SCENES = {
    "single": Scene("blue", (CAT,)),
    "two": Scene("blue", (CAT,), 2),
    "three": Scene("blue", (CAT,), 3),
    "four": Scene("blue", (CAT,), 4),
    "left of": Scene("blue", (CAT, DOG), relation="left of"),
    "below": Scene("blue", (CAT, DOG), relation="below"),
}


def toy_tokens():
    """Tokens of a cat, the first of which is the background's, and of a dog, of which it is the second."""
    squares = {"blue empty 0": np.zeros((5, 5), np.int64)}
    squares[f"blue {CAT.name} 16"] = np.array([[0, 3], [4, 5]])
    squares[f"blue {DOG.name} 16"] = np.array([[6, 0], [7, 8]])
    return object_tokens.ObjectTokens(TINY, squares)


def images(scene, tokens):
    """All images of the scene with their objects, each as often as `render.place` would draw it."""
    steps, n, found = range(0, 32, 8), len(scene.objects), []
    for corners in product(product(steps, steps), repeat=n):
        array = np.array(corners)
        if render.apart(array, 16) and render.related(array, scene.relation, 16):
            placed = [render.Placed(t, x, y, 16) for t, (x, y) in zip(scene.objects, corners, strict=True)]
            found.append((placed, tokens.compose(placed, "blue").numpy()))
    return found


def distance(scene, distribution) -> float:
    """The largest error of a distribution of the next token, on some images of the scene, against counts of all."""
    composer = toy_tokens()
    everything = images(scene, composer)
    drawn, worst = np.stack([tokens for _, tokens in everything]), 0.0
    for placed, tokens in everything[:: len(everything) // 7 + 1]:
        candidates, p = distribution(scene, placed, composer)
        assert np.allclose(p.sum(1), 1)
        agree = np.ones(len(drawn), bool)
        for i in range(25):
            computed, counted = np.zeros(9), np.bincount(drawn[agree, i], minlength=9) / agree.sum()
            np.add.at(computed, candidates[i], p[i])
            worst = max(worst, np.abs(computed - counted).max())
            agree &= drawn[:, i] == tokens[i]
    return worst


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_distribution_is_that_of_all_images_with_the_same_tokens_before(scene, monkeypatch):
    assert distance(scene, next_token.next_token_distribution) < 1e-6
    monkeypatch.setattr(next_token, "_chains", lambda later, length: np.ones(len(later)))
    if scene.count > 1:
        assert distance(scene, next_token.next_token_distribution) > 0.01, "the test must see ignored things"


def test_observed_token_has_probability_one():
    composer = toy_tokens()
    placed = [render.Placed(CAT, 8, 16, 16)]
    tokens, blank = (composer.compose(items, "blue").numpy() for items in (placed, []))
    candidates, p = next_token.observed_token(tokens, blank)
    assert (candidates[np.arange(25), p.argmax(1)] == tokens).all()
    assert (p.max(1) == 1).all()
    assert (candidates[:, 0] == blank).all()


def test_things_of_several_sizes_are_refused():
    with pytest.raises(ValueError, match="of one size"):
        next_token._corners(presets.Preset(image=48, align=8, one=(16,), many=(16, 24)))
