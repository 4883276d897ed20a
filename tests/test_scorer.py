"""The scorer of images in the recipe of `emoji`."""

import numpy as np
import pytest

from training.scenes import vocabulary

match = pytest.importorskip("training.match")
score = pytest.importorskip("training.scorer").score


def picture(background, *items, side=128):
    """Templates, enlarged, on a background: (name, left, top, size) each."""
    pixels = np.empty((side, side, 3), np.float32)
    pixels[:] = vocabulary().backgrounds[background]
    for name, left, top, size in items:
        tile = match.templates()[[thing.name for thing in vocabulary().things].index(name)]
        nearest = np.arange(size) * match.SIDE // size
        rgba = tile[nearest][:, nearest]
        window = pixels[top : top + size, left : left + size]
        window[:] = rgba[..., :3] * 255 + window * (1 - rgba[..., 3:])
    return pixels.round().astype(np.uint8)


PAIR = (("cat", 8, 40, 48), ("red heart", 72, 40, 48))


@pytest.mark.parametrize(
    ("image", "prompt"),
    [
        (picture("teal", ("owl", 32, 32, 64)), "an owl on a teal background"),
        (picture("grey", ("cat", 8, 8, 48), ("cat", 72, 8, 48), ("cat", 8, 72, 48)), "three cats on a grey background"),
        (picture("grey", *PAIR), "a cat left of a red heart on a grey background"),
        (picture("grey", *PAIR), "a red heart right of a cat on a grey background"),
        (
            picture("black", ("frog", 48, 0, 64), ("key", 48, 96, 64), side=192),
            "a key below a frog on a black background",
        ),
    ],
)
def test_true_images_are_correct(image, prompt):
    verdict = score(image, prompt)
    assert verdict.correct, verdict


@pytest.mark.parametrize(
    ("prompt", "part"),
    [
        ("a cat left of a red heart on a teal background", "background"),
        ("a dog left of a red heart on a grey background", "objects"),
        ("a cat left of a blue heart on a grey background", "objects"),
        ("two cats on a grey background", "objects"),
        ("a cat on a grey background", "count"),
        ("three red hearts on a grey background", "count"),
        ("a red heart left of a cat on a grey background", "relation"),
        ("a cat above a red heart on a grey background", "relation"),
    ],
)
def test_verdict_names_the_wrong_part(prompt, part):
    verdict = score(picture("grey", *PAIR), prompt)
    assert not verdict.correct
    assert not getattr(verdict, part)


def test_nothing_and_noise_are_not_correct():
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    assert not score(picture("grey"), "a cat on a grey background").correct
    assert not score(noise, "a cat on a grey background").correct


def test_an_image_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="float64"):
        score(np.zeros((8, 8, 3)), "a cat on a grey background")
