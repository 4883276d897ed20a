"""How the descendants of Chameleon frame an image."""

from dataclasses import dataclass

from transformers import ChameleonConfig

from fewpass.core.canvas import Grid
from fewpass.core.sampling import Sampling
from fewpass.models.layout import cells, own_name, side_in, size_or, with_row_ends
from fewpass.models.vocabulary import named

CELL = 16  # pixels per code
SIDES = (512, 768, 1024)  # that Lumina-mGPT is published for
START = "<s>"  # config.bos_token_id is 1 in the published checkpoints, which is <pad>
CODE = "IMGIMG"  # how the names of image tokens begin
BEGIN, END, TURN, ROW_END = "<racm3:break>", "<eoss>", "<reserved08706>", "<reserved08799>"


@dataclass(frozen=True)
class Anole:
    """Anole (arXiv 2407.06135): a square image of a fixed size, its codes and nothing else."""

    vocabulary: dict[str, int]
    side: int  # in codes
    codes: int

    size_source = ""
    guidance = 3.0
    sampling = Sampling(temperature=0.7, top_p=0.9)
    symbols = ()

    def grid(self, size: tuple[int, int] | None, name: str) -> Grid:
        edge = self.side * CELL
        if size not in (None, (edge, edge)):
            raise ValueError(f"{name} draws {edge}x{edge} only, not {size[0]}x{size[1]}")
        return Grid(self.side, self.side, self.codes)

    def text(self, prompt: str, grid: Grid) -> str:
        return prompt

    def header(self, grid: Grid) -> list[int]:
        return named(self.vocabulary, BEGIN)

    def size_after(self, ids: list[int]) -> tuple[int, int] | None:
        """The size that a prompt ends with, if it ends with the header of an image."""
        return (self.side * CELL,) * 2 if ids[-1:] == named(self.vocabulary, BEGIN) else None

    def unconditional(self, grid: Grid) -> list[int]:
        return named(self.vocabulary, START, BEGIN)


@dataclass(frozen=True)
class Lumina:
    """Lumina-mGPT (arXiv 2408.02657): any size in multiples of 32 pixels, given in front of the image, and row ends."""

    vocabulary: dict[str, int]
    side: int  # of the images it was trained for, in pixels; 0 if it is not known
    codes: int
    size_source: str

    guidance = 4.0
    sampling = Sampling(top_k=2000)
    symbols = (ROW_END,)

    def grid(self, size: tuple[int, int] | None, name: str) -> Grid:
        rows, cols = cells(size_or(size, self.side, name), 2 * CELL, name)
        if any(_size_token(n) not in self.vocabulary for n in (rows, cols)):
            raise ValueError(f"{name} has no tokens for the size {cols * 2 * CELL}x{rows * 2 * CELL}")
        return with_row_ends(2 * rows, 2 * cols, self.codes)

    def text(self, prompt: str, grid: Grid) -> str:
        width, height = (grid.cols - 1) * CELL, grid.rows * CELL
        return f"Generate an image of {width}x{height} according to the following prompt:\n{prompt}"

    def header(self, grid: Grid) -> list[int]:
        return named(self.vocabulary, BEGIN, _size_token(grid.rows // 2), _size_token((grid.cols - 1) // 2))

    def size_after(self, ids: list[int]) -> tuple[int, int] | None:
        numbers = {self.vocabulary[_size_token(n)]: n for n in range(1, 100) if _size_token(n) in self.vocabulary}
        match [numbers.get(word) for word in ids[-2:]]:
            case [int(rows), int(cols)] if ids[-3:-2] == named(self.vocabulary, BEGIN):
                return cols * 2 * CELL, rows * 2 * CELL
        return None

    def unconditional(self, grid: Grid) -> list[int]:
        return self.header(grid)


def style_of(config: ChameleonConfig, name: str, codes: int) -> Anole | Lumina:
    """The style of a checkpoint: Lumina-mGPT by its `architectures`, or its trainer's `z_loss_weight`, in config.json.

    Which size a Lumina-mGPT was trained for is in its name only.
    """
    if "XLLMX" in "".join(config.architectures or []) or "z_loss_weight" in vars(config):
        own = own_name(name)
        side = side_in(own, SIDES)
        return Lumina(config.vocabulary_map, side, codes, f"from its name, {own}" if side else "")
    return Anole(config.vocabulary_map, config.vq_config.resolution // CELL, codes)


def _size_token(units: int) -> str:
    return f"<reserved{8800 + units:05d}>"


def vocabulary_of_shape(words: int, codes: int) -> dict[str, int]:
    """For a shape that comes without one: `<s>`, the codes from 4 on, the symbols of the layout last."""
    letters = (f"{CODE}{''.join(chr(ord('A') + int(digit)) for digit in str(code))}Z" for code in range(codes))
    layout = ["<image>", BEGIN, END, TURN, ROW_END, *map(_size_token, range(1, 99))]
    coded = {word: 4 + code for code, word in enumerate(letters)}
    return {START: 0} | coded | {word: words - len(layout) + n for n, word in enumerate(layout)}
