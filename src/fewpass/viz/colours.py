"""The colours of pictures, and numbers as colours."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

PAPER, INK, FAINT, RULE = "#fbfaf7", "#1d1d24", "#70707c", "#e3e1da"
TINTS: Mapping[bool | None, str] = {True: "#167458", False: "#c2611a", None: FAINT}  # lossless, lossy, unknown
BASE = "#3c3888"  # autoregression

# Dark violet over blue and green to yellow: even steps in lightness, read alike by colour-blind eyes.
ANCHORS = np.array(
    [(47, 20, 89), (60, 56, 136), (46, 94, 148), (33, 130, 146), (44, 165, 130), (120, 196, 92), (246, 220, 62)]
)


def colour(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Map numbers between 0 and 1 to RGB: [...] -> [..., 3]."""
    places = np.linspace(0, 1, len(ANCHORS))
    return np.stack([np.interp(shares, places, channel) for channel in ANCHORS.T], -1).round().astype(np.uint8)


def share(passes: NDArray[np.integer], slowest: int) -> NDArray[np.floating]:
    """Positions of passes on the colour scale: square roots, so that fast decoders use many colours too."""
    return ((passes - 1) / max(1, slowest - 1)) ** 0.5


def ticks(slowest: int) -> list[int]:
    """The passes at the beginning, the quarters and the end of the colour scale."""
    return [round(1 + (slowest - 1) * (quarter / 4) ** 2) for quarter in range(5)]
