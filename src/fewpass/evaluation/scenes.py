"""Do images show the scenes that their prompts describe? For prompts of the bundled model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fewpass.evaluation.drawings import Drawings
from fewpass.evaluation.items import Item
from fewpass.models.emoji.scenes import KINDS, parse
from fewpass.models.emoji.scorer import score


def are_scenes(items: Sequence[Item]) -> bool:
    """Whether the scorer understands every prompt."""
    try:
        for item in items:
            parse(item.row.prompt)
    except ValueError:
        return False
    return True


def correct(drawings: Drawings) -> NDArray[np.bool_]:
    """Whether background, objects, count and relation are all right, for each image."""
    return np.array(
        [score(drawings.picture(i), item.row.prompt).correct for i, item in enumerate(drawings.items)], bool
    )


def kinds(items: Sequence[Item]) -> dict[str, NDArray[np.bool_]]:
    """Which of the items are of each category; all of them first."""
    each = np.array([parse(item.row.prompt).kind for item in items])
    return {"all": np.ones(len(items), bool)} | {kind: each == kind for kind in KINDS if (each == kind).any()}
