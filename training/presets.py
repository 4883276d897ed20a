"""The two sizes at which the bundled model is trained. A preset is a value; scripts take its name.

The weights have the same shapes in both, so that training at full size can start from weights trained on a CPU.
"""

from dataclasses import dataclass

CELL = 8  # pixels a token spans
GUIDANCE = 1.25  # default of the model; chosen on prompts that are not among the 200 of the score, see README.md


@dataclass(frozen=True)
class Preset:
    """Settings of all stages. Sizes of an object are those of its square."""

    image: int  # pixels per side; the token grid is image / 8
    align: int  # positions of objects are multiples of this many pixels
    one: tuple[int, ...]  # sizes of a single object
    many: tuple[int, ...]  # sizes when there are several
    gap: int = 8  # pixels between two objects' squares, at least

    codes: int = 1024
    code_dim: int = 16
    vq_channels: int = 32  # a multiple of 32, for GroupNorm
    vq_multipliers: tuple[int, ...] = (3, 1, 2, 4)  # three channels per group, see vq_blocks.anchor
    vq_skip_full_resolution: bool = True  # skip the residual blocks at full resolution
    vq_batch: int = 3  # whole images; of crops, as many as have the same number of pixels
    vq_crop: int = 64

    layers: int = 6
    width: int = 320
    mlp: int = 768
    batch: int = 16
    scenes_per_refresh: int = 64  # fresh scenes encoded at each refresh of the token pool
    pool: int = 4096  # number of encoded scenes

    @property
    def rows(self) -> int:
        return self.image // CELL

    @property
    def on_lattice(self) -> bool:
        """Whether objects cover whole tokens, so that scenes can be composed from the tokens of objects."""
        return not any(pixels % CELL for pixels in (self.align, *self.one, *self.many))


PRESETS = {
    # Objects are aligned with the tokens and have one size, so that an object has one set of tokens per background, and
    # training on one kind of scene helps the others.
    "cpu": Preset(image=128, align=8, one=(40,), many=(40,), batch=16),
    "full": Preset(
        image=192,
        align=2,
        one=(84, 92, 100),
        many=(52, 56, 60, 64),
        vq_skip_full_resolution=False,
        vq_batch=32,
        vq_crop=96,
        batch=128,
        scenes_per_refresh=512,
        pool=65536,
    ),
}
