"""The law of the next token of a training scene, against every image the scene can have."""

from itertools import product

import numpy as np
import pytest

foresight = pytest.importorskip("training.foresight")  # the wheel does not carry it
presets, render, spelling_ = (pytest.importorskip(f"training.{n}") for n in ("presets", "render", "spelling"))

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


def spelling():
    """A cat's first token is the background's; a dog's second is."""
    squares = {"blue empty 0": np.zeros((5, 5), np.int64)}
    squares[f"blue {CAT.name} 16"] = np.array([[0, 3], [4, 5]])
    squares[f"blue {DOG.name} 16"] = np.array([[6, 0], [7, 8]])
    return spelling_.Spelling(TINY, squares)


def images(scene, spelt):
    """Every image of the scene with the objects that make it, each as often as `render.place` would draw it."""
    steps, n, found = range(0, 32, 8), len(scene.objects), []
    for corners in product(product(steps, steps), repeat=n):
        array = np.array(corners)
        if render.apart(array, 16) and render.related(array, scene.relation, 16):
            placed = [render.Placed(t, x, y, 16) for t, (x, y) in zip(scene.objects, corners, strict=True)]
            found.append((placed, spelt.tokens(placed, "blue").numpy()))
    return found


def distance(scene, law) -> float:
    """The largest error of a law of the next token over some images of the scene, by counting all that agree so far."""
    spelt = spelling()
    everything = images(scene, spelt)
    drawn, worst = np.stack([tokens for _, tokens in everything]), 0.0
    for placed, tokens in everything[:: len(everything) // 7 + 1]:
        ways, p = law(scene, placed, spelt)
        assert np.allclose(p.sum(1), 1)
        agree = np.ones(len(drawn), bool)
        for i in range(25):
            told, counted = np.zeros(9), np.bincount(drawn[agree, i], minlength=9) / agree.sum()
            np.add.at(told, ways[i], p[i])
            worst = max(worst, np.abs(told - counted).max())
            agree &= drawn[:, i] == tokens[i]
    return worst


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_the_law_is_that_of_all_images_that_agree_so_far(scene, monkeypatch):
    assert distance(scene, foresight.foresight) < 1e-6
    monkeypatch.setattr(foresight, "_chains", lambda later, length: np.ones(len(later)))
    if scene.count > 1:
        assert distance(scene, foresight.foresight) > 0.01, "what is yet to come must count"


def test_hindsight_is_what_came():
    spelt = spelling()
    placed = [render.Placed(CAT, 8, 16, 16)]
    tokens, blank = (spelt.tokens(items, "blue").numpy() for items in (placed, []))
    ways, p = foresight.hindsight(tokens, blank)
    assert (ways[np.arange(25), p.argmax(1)] == tokens).all()
    assert (p.max(1) == 1).all()
    assert (ways[:, 0] == blank).all()


def test_things_of_several_sizes_are_refused():
    with pytest.raises(ValueError, match="of one size"):
        foresight._corners(presets.Preset(image=48, align=8, one=(16,), many=(16, 24)))
