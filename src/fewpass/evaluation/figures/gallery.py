"""Images decoder by decoder, the same prompt and seed in every column."""

import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from fewpass.evaluation.images import DecoderImages
from fewpass.evaluation.summary import Summary
from fewpass.viz.style import FAINT, figure, tint

SIDE = 256  # pixels of a thumbnail at most
ABREAST = 19  # letters of a prompt in a line, half as many of wide scripts


def gallery(everything: Sequence[DecoderImages], summaries: Sequence[Summary], chosen: Sequence[int]) -> Any:
    """Images of the items `chosen`, a row for each decoder."""
    drawn = figure(1.15 + 1.15 * len(chosen), 0.6 + 1.2 * len(everything))
    axes = drawn.subplots(len(everything), len(chosen), squeeze=False)
    for line, (d, s) in enumerate(zip(everything, summaries, strict=True)):
        for column, i in enumerate(chosen):
            axis, picture = axes[line][column], d.picture(i)
            picture.thumbnail((SIDE, SIDE))
            axis.imshow(np.array(picture))
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(visible=False)
            for spine in axis.spines.values():
                spine.set_visible(False)
            axis.set_xlabel(f"{d.passes[i]:.0f} passes", fontsize=7, color=FAINT, labelpad=2)
            if line == 0:
                axis.set_title(_title(d.items[i].row.prompt), fontsize=6.8, loc="center")
        label = f"{s.name}\n{s.passes.mean:.0f} passes"
        axes[line][0].set_ylabel(
            label, rotation=0, ha="right", va="center", fontsize=8.5, color=tint(s.decoder, s.lossless), labelpad=8
        )
    return drawn


def _title(prompt: str) -> str:
    """The beginning of a prompt, in lines as wide as its image."""
    wide = any(unicodedata.east_asian_width(letter) in "WF" for letter in prompt)
    return "\n".join(textwrap.wrap(prompt, ABREAST // (1 + wide), max_lines=4, placeholder=" ..."))
