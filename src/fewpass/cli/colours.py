"""Numbers as colours."""

import numpy as np
from numpy.typing import NDArray

ANCHORS = (
    np.array(  # dark violet over blue and green to yellow: even steps in lightness, read alike by colour-blind eyes
        [(47, 20, 89), (60, 56, 136), (46, 94, 148), (33, 130, 146), (44, 165, 130), (120, 196, 92), (246, 220, 62)]
    )
)


def colour(share: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Numbers between 0 and 1 as RGB: [...] -> [..., 3]."""
    at = np.clip(share, 0, 1) * (len(ANCHORS) - 1)
    low = np.minimum(at.astype(int), len(ANCHORS) - 2)
    mixed = ANCHORS[low] + (at - low)[..., None] * (ANCHORS[low + 1] - ANCHORS[low])
    return mixed.round().astype(np.uint8)
