"""The style of all figures."""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fewpass.io.extra import needed
from fewpass.viz.colour_scale import ANCHORS

PAPER, INK, FAINT, RULE = "#fbfaf7", "#1d1d24", "#70707c", "#e3e1da"
TINTS: Mapping[bool | None, str] = {True: "#167458", False: "#c2611a", None: FAINT}  # lossless, lossy, unknown
BASE = "#3c3888"  # autoregression
DPI = 200
LEAST = 5.5, 3.0  # inches of a figure that its labels need
STYLE = Path(__file__).with_name("fewpass.mplstyle")


@contextmanager
def look() -> Iterator[None]:
    """Apply the style to figures that are made inside the context."""
    installed = set(needed("matplotlib.font_manager").get_font_names())
    with needed("matplotlib.style").context(STYLE), warnings.catch_warnings():
        settings = needed("matplotlib").rcParams
        settings["font.family"] = [font for font in settings["font.family"] if font in installed]
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
    for axis in axes[number:]:
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


def labels(spellings: Sequence[str]) -> list[str]:
    """Names of recipes, and on a second line the options in which decoders of one recipe differ."""
    options = [spelling.partition("(")[2].removesuffix(")").split(", ") for spelling in spellings]
    names = [spelling.partition("(")[0] for spelling in spellings]
    found = []
    for name, own in zip(names, options, strict=True):
        alike = [set(other) for n, other in zip(names, options, strict=True) if n == name]
        found.append("\n".join([name, *filter(None, [", ".join(o for o in own if not all(o in a for a in alike))])]))
    return found


def drawn(figures: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, bytes], list[str]]:
    """PNG files by name, and an error for each figure that could not be drawn: one must not cost the others."""
    files, failed = dict[str, bytes](), list[str]()
    with look():
        for name, draw in figures.items():
            try:
                files[name] = png(draw())
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                failed.append(f"The figure {name} could not be drawn: {reason}.")
    return files, failed


def png(figure: Any) -> bytes:
    """Encode a figure as PNG."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
    return data.getvalue()
