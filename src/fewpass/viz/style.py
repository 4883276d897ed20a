"""The style of all figures."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import numpy as np

from fewpass.io.extra import needed
from fewpass.viz.colour_scale import ANCHORS

PAPER, INK, FAINT, RULE = "#fbfaf7", "#1d1d24", "#70707c", "#e3e1da"
TINTS: Mapping[bool | None, str] = {True: "#167458", False: "#c2611a", None: FAINT}  # lossless, lossy, unknown
BASE = "#3c3888"  # autoregression
WORDS = {True: "lossless", False: "lossy", None: "unknown"}
DPI = 200
LEAST = 5.5, 3.0  # inches of a figure that its labels need
LOOK = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.parse_math": False,  # prompts and names may hold pairs of $
}
FONT = "DejaVu Sans"
OTHER_SCRIPTS = (  # for prompts, where these fonts are installed
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Noto Sans Arabic",
    "Noto Emoji",
)


@contextmanager
def look() -> Iterator[None]:
    """Apply the style to figures that are made inside the context."""
    fonts = set(needed("matplotlib.font_manager").get_font_names())
    family = [FONT, *(name for name in OTHER_SCRIPTS if name in fonts)]
    with needed("matplotlib").rc_context(LOOK | {"font.family": family}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # drawn as an empty box
        yield


def figure(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    needed("matplotlib.backends.backend_agg")
    return needed("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def panels(number: int, abreast: int, width: float, height: float, **shared: Any) -> tuple[Any, list[Any]]:
    """A figure of `number` panels of that size, larger if they are few, `abreast` in a line."""
    abreast = min(abreast, number)
    lines = -(-number // abreast)
    whole = figure(*map(max, (width * abreast, height * lines), LEAST))
    axes = whole.subplots(lines, abreast, squeeze=False, **shared).ravel().tolist()
    for axis, used in zip_longest(axes, range(number)):
        if used is None:
            axis.set_visible(False)
    for axis in axes[max(0, number - abreast) : number]:  # the lowest of every column
        axis.tick_params(labelbottom=True)
    return whole, axes[:number]


def colours() -> Any:
    """The scale of heat maps, the one that `fewpass compare` uses."""
    return needed("matplotlib.colors").LinearSegmentedColormap.from_list("fewpass", np.array(ANCHORS) / 255)


def tint(decoder: str, lossless: bool | None) -> str:
    """The colour of a decoder."""
    return BASE if decoder == "ar" else TINTS[lossless]


def png(drawn: Any) -> bytes:
    """Encode a figure as PNG."""
    data = io.BytesIO()
    drawn.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
    return data.getvalue()
