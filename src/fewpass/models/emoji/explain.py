"""The things in an image: of several ways to cut it into parts, the one whose parts look most like emoji."""

import numpy as np

from .match import Match, identify
from .segment import CONTRASTS, SPECK, boxes, contrast

GOOD = 0.2  # mean distance at which no other cut is tried
ROOM = 0.12  # of its side, by which an object's blur may reach beyond its square


def explain(pixels: np.ndarray, background: np.ndarray, colour: str) -> tuple[list[Match], bool]:
    """The best matches, and whether something visible is left that none of them covers.

    Blur between two close objects can join them where a low contrast is requested, and a high contrast can tear a
    pale object apart; neither looks like an emoji then.
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
        reach = match.size * (0.5 + ROOM)
        (x, y) = match.centre
        rest[
            max(round(y - reach), 0) : max(round(y + reach), 0), max(round(x - reach), 0) : max(round(x + reach), 0)
        ] = False
    return any((box.right - box.left) * (box.bottom - box.top) > 2 * SPECK * mask.size for box in boxes(rest))
