"""Do decoders draw from the law of the model? Measured on a toy whose joint law can be computed."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch

from fewpass.core.canvas import Grid
from fewpass.core.protocol import Decoder
from fewpass.core.sampling import Sampling
from fewpass.decoders.recipes import RECIPES
from fewpass.decoders.spec import Recipe
from fewpass.evaluation.folder import RunFolder
from fewpass.evaluation.wrong import wrong_decoders
from fewpass.testing import JointLaw, LawFigure, check_decoder, coming_and_going, drawn

LAW = "law.json"
SAMPLE = 2_000  # images for each figure of a row whose time is taken
FREE = Grid(2, 3, 4)
ROW_ENDS = Grid(2, 4, 5, codes=4, forced=torch.tensor([-1, -1, -1, 4] * 2))
# On six tokens, defaults that are meant for hundreds would make some recipes autoregression or SJD.
SMALL: dict[str, dict[str, Any]] = {
    "window": {"window": FREE.size - 1},
    "zipar": {"window": 1},
    "pjd": {"context": 1},
    "gsd": {"group": 2, "gap": 1.0, "distance": 1.5},
    "lantern": {"neighbours": 2},
    "lantern_pp": {"neighbours": 2},
}


@dataclass(frozen=True, eq=False)
class Setting:
    """One way of sampling, on one layout; `ragged` images come and go while others are drawn."""

    name: str
    sampling: Sampling = Sampling()
    guidance: float = 1.0
    grid: Grid = FREE
    ragged: bool = False

    @property
    def joint(self) -> JointLaw:
        return _joint(self.sampling, self.guidance, self.grid)


SETTINGS = (
    Setting("plain"),
    Setting("temperature 0.7", Sampling(0.7)),
    Setting("top-k 3", Sampling(top_k=3)),
    Setting("top-p 0.9", Sampling(top_p=0.9)),
    Setting("guidance 2", guidance=2.0),
    Setting("forced tokens", grid=ROW_ENDS),
    Setting("ragged batch", ragged=True),
    Setting("all of them", Sampling(0.7, 3, 0.95), 2.0, ROW_ENDS, True),
)


@dataclass(frozen=True)
class LawRow:
    """The figures of one decoder, by the names of the settings. `lossless` None: known to be wrong."""

    name: str
    spelling: str
    lossless: bool | None
    figures: dict[str, LawFigure]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def exact(self) -> bool:
        """In every setting."""
        return all(figure.exact for figure in self.figures.values())

    @property
    def as_expected(self) -> bool:
        """Lossless and exact, or lossy; wrong, and caught in some setting."""
        return self.exact if self.lossless else self.lossless is False or not self.exact

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "LawRow":
        return cls(**row | {"figures": {name: LawFigure(**figure) for name, figure in row["figures"].items()}})


def subjects() -> Iterator[tuple[str, bool | None, Decoder]]:
    """All recipes at the size of the toy, and the decoders that are known to be wrong."""
    for name, recipe in RECIPES.items():
        yield name, recipe.lossless, small(recipe)
    for name, decoder in wrong_decoders(FREE.size - 1).items():
        yield name, None, decoder


def seconds_of_a_row(images: int) -> float:
    """About how long a row takes on this machine, from a sample."""
    started = time.perf_counter()
    for _ in figures_of(small(RECIPES["sjd"]), SAMPLE):
        pass
    return (time.perf_counter() - started) * images / SAMPLE


def measured(folder: RunFolder, images: int) -> Iterator[LawRow]:
    """The rows of all subjects, with so many images for each figure; those that the folder has are not drawn again."""
    known = folder.path / LAW
    stored = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
    rows = {row["spelling"]: row for row in stored.get("rows", [])} if stored.get("images") == images else {}
    for name, lossless, decoder in subjects():
        spelling = str(decoder) if lossless is not None else name
        if spelling not in rows:
            row = LawRow(name, spelling, lossless, dict(figures_of(decoder, images)))
            rows[spelling] = row.to_json()
            folder.write(LAW, json.dumps({"images": images, "rows": list(rows.values())}, indent=1))
        yield LawRow.from_json(rows[spelling])


def small(recipe: Recipe[...]) -> Decoder:
    options = {**SMALL["window"], **SMALL.get(recipe.name, {})}
    return recipe(**{option: value for option, value in options.items() if option in recipe.parameters})


def figures_of(decoder: Decoder, images: int) -> Iterator[tuple[str, LawFigure]]:
    for setting in SETTINGS:
        draw = coming_and_going if setting.ragged else drawn
        yield setting.name, check_decoder(decoder, setting.joint, images, draw=draw)


@cache
def _joint(sampling: Sampling, guidance: float, grid: Grid) -> JointLaw:
    return JointLaw(grid, sampling, guidance=guidance)
