"""Which images an evaluation draws: the same prompts with the same seeds for every decoder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fewpass.engine import seeds as seeding
from fewpass.io.prompt_files import Row

ROUND = 1_000_000  # between the seeds of a prompt's images, so that lists of prompts may grow


@dataclass(frozen=True)
class Item:
    """One image to draw: prompt `number` of the list, for the time `round`; both count from 0."""

    row: Row
    number: int
    round: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.number:05d}-{self.round}"


def items_of(rows: Sequence[Row], count: int, pairs: int, seed: int) -> list[Item]:
    """`count` images of each prompt, and at least two of the first `pairs`. Raises ValueError for seeds too large."""
    items = []
    for number, row in enumerate(rows):
        for round_ in range(max(count, 2 if number < pairs else 1)):
            items.append(Item(row, number, round_, seed + number + round_ * ROUND))
    seeding.assign([item.seed for item in items], len(items))
    return items


def remarks(rows: Sequence[Row]) -> list[str]:
    """What a reader should know of a list of prompts."""
    again = [(prompt, n) for prompt, n in Counter(row.prompt for row in rows).items() if n > 1]
    if not again:
        return []
    extra = sum(n - 1 for _, n in again)
    return [
        f"{extra} of {len(rows)} prompts repeat an earlier one, such as {again[0][0]!r};"
        " each was drawn with a seed of its own"
    ]
