"""The two sizes at which the bundled model is trained. A preset is a value; scripts take its name.

Their weights have the same shapes, so that training at full size can start from what was trained on a CPU.
"""

from dataclasses import dataclass

CELL = 8  # pixels a token spans
GUIDANCE = 1.25  # the model's own; chosen on prompts that are not among the 200 of the score, see README.md


@dataclass(frozen=True)
class Preset:
    """Everything a stage needs to know. Pixel sizes are of the square that holds an object."""

    image: int  # pixels per side; the token grid is image / 8
    align: int  # object positions are multiples of this many pixels
    one: tuple[int, ...]  # sizes of a single object
    many: tuple[int, ...]  # sizes when there are several
    gap: int = 8  # pixels between two objects' squares, at least

    codes: int = 1024
    code_dim: int = 16
    vq_channels: int = 32  # GroupNorm asks for multiples of 32
    vq_multipliers: tuple[int, ...] = (3, 1, 2, 4)  # at full resolution three channels per group, see lean.anchor
    vq_lean: bool = True  # leave out the residual blocks at full resolution
    vq_batch: int = 3  # whole images; of crops as many more as they are smaller
    vq_crop: int = 64

    layers: int = 6
    width: int = 320
    mlp: int = 768
    batch: int = 16
    scenes_per_refresh: int = 64  # fresh scenes encoded at each refresh of the token pool
    pool: int = 4096  # scenes kept encoded

    @property
    def rows(self) -> int:
        return self.image // CELL

    @property
    def on_lattice(self) -> bool:
        """Whether objects cover whole tokens, so that each can be spelt once and for all."""
        return not any(pixels % CELL for pixels in (self.align, *self.one, *self.many))


PRESETS = {
    # Objects sit on the 8-pixel lattice of the tokens, and all have one size, so that one object has one spelling per
    # background: what is learned from one kind of scene is known in the others.
    "cpu": Preset(image=128, align=8, one=(40,), many=(40,), batch=16),
    "full": Preset(
        image=192,
        align=2,
        one=(84, 92, 100),
        many=(52, 56, 60, 64),
        vq_lean=False,
        vq_batch=32,
        vq_crop=96,
        batch=128,
        scenes_per_refresh=512,
        pool=65536,
    ),
}
