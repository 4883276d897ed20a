"""A sheet of one prompt drawn by several decoders."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fewpass.viz.colours import FAINT, INK, PAPER, RULE, TINTS, colour, share, ticks

MARGIN, GAP, ABREAST = 56, 36, 5
HEAD, COST = 66, 92  # heights of the texts over and under an image
MEANING = "Forward pass at which each token became final"
TILE, LEGEND = (256, 384), 96  # least and greatest width of an image; height of the legend


@dataclass(frozen=True, eq=False)
class Column:
    """The image and the costs of one decoder.

    `committed` [rows, cols] is the pass at which each token of the image became final. `tokens` counts all
    drawn tokens, row ends included.
    """

    spelling: str
    lossless: bool | None
    image: Image.Image
    committed: NDArray[np.integer]
    tokens: int
    seconds: float

    @property
    def passes(self) -> int:
        """Forward passes of the image."""
        return int(self.committed.max())


def draw_sheet(title: str, subtitle: str, columns: Sequence[Column]) -> Image.Image:
    """Draw images side by side with their costs, and under each a map of the passes that committed its tokens."""
    tile = min(max(columns[0].image.width, TILE[0]), TILE[1])
    abreast = -(-len(columns) // -(-len(columns) // ABREAST))  # as many on every line
    inner = abreast * tile + (abreast - 1) * GAP
    lines = _wrapped(title, inner)
    top = MARGIN + 40 * len(lines) + 58
    block = HEAD + _height(columns[0].image.size, tile) + COST + _height(columns[0].committed.shape[::-1], tile) + GAP
    height = top + block * -(-len(columns) // abreast) + LEGEND + MARGIN // 2
    sheet = Image.new("RGB", (inner + 2 * MARGIN, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        pen.text((MARGIN, MARGIN + 40 * number), line, INK, _font(32), anchor="lt")
    pen.text((MARGIN, MARGIN + 40 * len(lines) + 4), subtitle, FAINT, _fitting(subtitle, inner), anchor="lt")
    slowest = max(column.passes for column in columns)
    for number, column in enumerate(columns):
        x, y = MARGIN + number % abreast * (tile + GAP), top + number // abreast * block
        _draw_column(sheet, column, x, y, tile, slowest)
    _draw_legend(sheet, MARGIN, height - LEGEND - MARGIN // 2, min(2 * tile + GAP, inner), slowest)
    return sheet


def _draw_column(sheet: Image.Image, column: Column, x: int, y: int, tile: int, slowest: int) -> None:
    pen = ImageDraw.Draw(sheet)
    name, _, options = column.spelling.rstrip(")").partition("(")
    word, tint = {True: "lossless", False: "lossy", None: "unknown"}[column.lossless], TINTS[column.lossless]
    pen.text((x, y + 22), name, INK, _font(24), anchor="ls")
    pen.text((x + tile, y + 22), word, tint, _font(16), anchor="rs")
    settings = options.replace("=", " ")
    pen.text((x, y + 46), settings, FAINT, _fitting(settings, tile, largest=14), anchor="ls")
    y += HEAD
    size = (tile, _height(column.image.size, tile))
    sheet.paste(column.image.convert("RGB").resize(size, Image.Resampling.BICUBIC), (x, y))
    pen.rectangle((x - 1, y - 1, x + tile, y + size[1]), outline=RULE)  # where a white picture ends
    y += size[1]
    pen.text((x, y + 44), str(column.passes), INK, _font(34), anchor="ls")
    beside = x + pen.textlength(str(column.passes), _font(34)) + 9
    pen.text((beside, y + 44), f"passes for {column.tokens} tokens", FAINT, _font(16), anchor="ls")
    cost = f"{column.tokens / column.passes:.2f} tokens per pass, {column.seconds:.2f} s"
    pen.text((x, y + 70), cost, FAINT, _font(16), anchor="ls")
    sheet.paste(_heat(column.committed, tile, slowest), (x, y + COST))


def _heat(committed: NDArray[np.integer], tile: int, slowest: int) -> Image.Image:
    """The passes as colours, with a thin line between tokens of different passes."""
    rows, cols = committed.shape
    height = _height((cols, rows), tile)
    fine = committed[np.ix_(np.arange(height) * rows // height, np.arange(tile) * cols // tile)]
    pixels = colour(share(fine, slowest)).astype(float)
    edge = np.zeros(fine.shape, bool)
    edge[:, 1:] |= fine[:, 1:] != fine[:, :-1]
    edge[1:] |= fine[1:] != fine[:-1]
    pixels[edge] += (255 - pixels[edge]) * 0.3
    return Image.fromarray(pixels.round().astype(np.uint8))


def _draw_legend(sheet: Image.Image, x: int, y: int, width: int, slowest: int) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.text((x, y + 16), MEANING, INK, _fitting(MEANING, width), anchor="ls")
    sheet.paste(Image.fromarray(colour(np.linspace(0, 1, width))[None].repeat(16, 0)), (x, y + 30))
    for tick, anchor in dict(zip(ticks(slowest), ["ls", "ms", "ms", "ms", "rs"], strict=True)).items():
        at = x + float(share(np.array(tick), slowest)) * (width - 1)
        pen.text((at, y + 66), str(tick), FAINT, _font(15), anchor=anchor)


def _height(size: tuple[int, ...], width: int) -> int:
    return round(size[1] * width / size[0])


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a title; words that are wider than a line are cut."""
    lengths = range(width // 8, 0, -1)  # letters of a line
    every = (textwrap.wrap(text, length) for length in lengths)
    return next(lines for lines in every if all(_font(32).getlength(line) <= width for line in lines))


def _fitting(text: str, width: int, largest: int = 16) -> ImageFont.FreeTypeFont:
    """The largest font, up to a size, in which `text` is no wider than `width`."""
    return next((f for f in map(_font, range(largest, 8, -1)) if f.getlength(text) <= width), _font(8))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
