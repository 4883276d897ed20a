"""Scorer of images by their prompts: segmentation and comparison with the emoji, without a trained network."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from PIL import Image

from training.scenes import Scene, parse, vocabulary

from .match import Match, identify
from .segment import CONTRASTS, SPECK, background_colour, boxes, contrast

NEAR = 40.0  # largest distance of the background from its correct colour; 442 is that of black and white
LIKE = 0.95  # largest distance of a thing from the nearest emoji, from 0 to 1
CLEARLY = 1.5  # least ratio of the distance along the axis of the relation to that across

GOOD = 0.2  # mean distance below which no higher contrast is tried
MARGIN = 0.12  # width of the blur around an object's square, as a share of its side


@dataclass(frozen=True)
class Verdict:
    """Correct parts of an image; `seen` names the objects that the scorer found."""

    background: bool
    objects: bool  # the things seen are exactly the things in the prompt, with their colours
    count: bool
    relation: bool
    seen: tuple[str, ...]

    @property
    def correct(self) -> bool:
        return self.background and self.objects and self.count and self.relation


def score(image: Image.Image | np.ndarray, prompt: str) -> Verdict:
    """Score an image, PIL or uint8 [H, W, 3], by its prompt. ValueError for a prompt outside the vocabulary."""
    pixels = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"image must be uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}")
    scene = parse(prompt)
    background = background_colour(pixels)
    colour = _nearest_background(background)
    found, rest = _explain(pixels, background, colour)
    names = [match.thing.name if match.distance < LIKE else "something" for match in found] + ["something"] * rest
    return Verdict(
        background=_background_right(background, scene),
        objects=set(names) == {thing.name for thing in scene.things},
        count=len(names) == len(scene.objects),
        relation=_related(scene, found),
        seen=(colour, *names),
    )


def _nearest_background(colour: np.ndarray) -> str:
    colours = vocabulary().backgrounds
    return min(colours, key=lambda name: float(np.linalg.norm(colour - np.array(colours[name]))))


def _background_right(colour: np.ndarray, scene: Scene) -> bool:
    wanted = np.array(vocabulary().backgrounds[scene.background])
    return _nearest_background(colour) == scene.background and float(np.linalg.norm(colour - wanted)) < NEAR


def _related(scene: Scene, found: list[Match]) -> bool:
    if scene.relation is None:
        return True
    if Counter(match.thing for match in found) != Counter(scene.objects):
        return False
    first, second = (next(m for m in found if m.thing == thing) for thing in scene.things)
    dx, dy = second.centre[0] - first.centre[0], second.centre[1] - first.centre[1]
    along, across = {"left of": (dx, dy), "right of": (-dx, dy), "above": (dy, dx), "below": (-dy, dx)}[scene.relation]
    return bool(along > max(0.6 * first.size, CLEARLY * abs(across)))


def _explain(pixels: np.ndarray, background: np.ndarray, colour: str) -> tuple[list[Match], bool]:
    """The best matches, and whether something visible lies outside all of them.

    At a low threshold of contrast, blur can join two close objects; a high one can split a pale object. The results
    match no emoji. So the threshold with the least mean distance is chosen.
    """
    visible, cuts = contrast(pixels, background), []
    for threshold in CONTRASTS:
        found = [identify(pixels, background, box, colour) for box in boxes(visible > threshold)]
        if found:
            cuts.append((float(np.mean([match.distance for match in found])), found))
            if cuts[-1][0] < GOOD:
                break
    found = min(cuts, key=lambda cut: cut[0])[1] if cuts else []
    return found, _left_over(visible > CONTRASTS[0], found)


def _left_over(mask: np.ndarray, found: list[Match]) -> bool:
    rest = mask.copy()
    for match in found:
        reach = match.size * (0.5 + MARGIN)
        (x, y) = match.centre
        rest[
            max(round(y - reach), 0) : max(round(y + reach), 0), max(round(x - reach), 0) : max(round(x + reach), 0)
        ] = False
    return any((box.right - box.left) * (box.bottom - box.top) > 2 * SPECK * mask.size for box in boxes(rest))
