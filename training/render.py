"""Render scenes: emoji from the font, placed so that objects never touch."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.scenes import Scene, Thing, vocabulary

from .presets import Preset

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")  # Debian package fonts-noto-color-emoji
FONT_SIZE = 109  # the only size of this bitmap font
SQUARE = 128  # side of the square that holds every glyph at that size


@dataclass(frozen=True)
class Placed:
    """An object in the image: its square's corner and side, in pixels."""

    thing: Thing
    x: int
    y: int
    size: int


@cache
def glyph(emoji: str) -> Image.Image:
    """The emoji as drawn by the font, RGBA, SQUARE pixels a side."""
    if not FONT.exists():
        raise ValueError(f"the font {str(FONT)!r} is missing: install the Debian package fonts-noto-color-emoji")
    canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    font = ImageFont.truetype(str(FONT), FONT_SIZE)
    ImageDraw.Draw(canvas).text((10, 10), emoji, font=font, embedded_color=True)
    return canvas.crop((14, 10, 14 + SQUARE, 10 + SQUARE))


@cache
def sprite(emoji: str, size: int) -> np.ndarray:
    """The emoji at `size` pixels: float32 [size, size, 4], colours multiplied by alpha, all in 0..1."""
    rgba = np.asarray(glyph(emoji), np.float32) / 255
    rgba[..., :3] *= rgba[..., 3:]
    # multiplied by alpha before resizing: otherwise the transparent black around a glyph darkens its edge
    planes = [Image.fromarray(rgba[..., c]).resize((size, size), Image.Resampling.LANCZOS) for c in range(4)]
    return np.stack([np.asarray(p) for p in planes], axis=-1).clip(0, 1)


def place(scene: Scene, preset: Preset, rng: np.random.Generator) -> list[Placed]:
    """Random positions, multiples of `preset.align`, with the gap and the relation of the scene."""
    things = scene.objects
    size = int(rng.choice(preset.one if len(things) == 1 else preset.many))
    while True:
        corners = rng.integers(0, (preset.image - size) // preset.align + 1, (len(things), 2)) * preset.align
        if apart(corners, size + preset.gap) and related(corners, scene.relation, size):
            return [Placed(t, int(x), int(y), size) for t, (x, y) in zip(things, corners, strict=True)]


def apart(corners: np.ndarray, distance: int) -> bool:
    away = np.abs(corners[:, None] - corners[None]).max(-1)
    return bool((away + distance * np.eye(len(corners)) >= distance).all())


def related(corners: np.ndarray, relation: str | None, size: int) -> bool:
    if relation is None:
        return True
    dx, dy = corners[1] - corners[0]
    along, across = {"left of": (dx, dy), "right of": (-dx, dy), "above": (dy, dx), "below": (-dy, dx)}[relation]
    return along > size and abs(across) * 5 <= size * 2


def paint(placed: list[Placed], background: str, image: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 [image, image, 3], and where objects are: bool [image, image]."""
    pixels = np.empty((image, image, 3), np.float32)
    pixels[:] = np.float32(vocabulary().backgrounds[background]) / 255
    covered = np.zeros((image, image), bool)
    for item in placed:
        rgba = sprite(item.thing.emoji, item.size)
        window = (slice(item.y, item.y + item.size), slice(item.x, item.x + item.size))
        pixels[window] = rgba[..., :3] + pixels[window] * (1 - rgba[..., 3:])
        covered[window] |= rgba[..., 3] > 0.02
    return (pixels.clip(0, 1) * 255).round().astype(np.uint8), covered
