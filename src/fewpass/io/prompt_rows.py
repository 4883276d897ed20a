"""A prompt of a file, with the other columns of its row."""

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

BENCHMARKS = (  # the least and the most columns of a row, without its prompt
    ({"category", "challenge"}, {"category", "challenge", "note"}),  # PartiPrompts.tsv
    ({"tag", "include"}, {"tag", "include", "exclude"}),  # GenEval's lines
)


@dataclass(frozen=True)
class Row:
    """One prompt without blanks around it, and its place in a file, like `prompts.csv:3`.

    `fields` holds the other columns of its row: text in tables, JSON values in JSON; cells that are empty or null are
    left out. `tags` holds the columns of known benchmarks.
    """

    prompt: str
    place: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str) or not self.prompt.strip():
            raise ValueError(f"{self.place}: a prompt must be a text, not blank, got {reprlib.repr(self.prompt)}")
        object.__setattr__(self, "prompt", self.prompt.strip())

    @classmethod
    def of(cls, place: str, given: Mapping[str, Any]) -> "Row":
        """The row of a table, or an object of JSON, with a `prompt` among its columns."""
        columns = {name: value for name, value in given.items() if name != "prompt" and value is not None}
        known = any(least <= columns.keys() <= most for least, most in BENCHMARKS)
        return cls(given.get("prompt", ""), place, **{"tags" if known else "fields": columns})


def lines(name: str, text: str) -> Iterator[tuple[str, str]]:
    """The lines of a file that are not blank, each after its place."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{name}:{number}", line
