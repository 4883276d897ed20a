"""Parts of a decoder that need to know something of the session before the first pass."""

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar, runtime_checkable

from fewpass.canvas import Grid
from fewpass.codebook import Codebook

Part = TypeVar("Part")


class Host(Protocol):
    """What every session can tell."""

    @property
    def grid(self) -> Grid: ...


@dataclass(frozen=True, eq=False)
class Prospect:
    """What a session will be able to tell once it is opened."""

    grid: Grid
    codebook: Codebook | None


@runtime_checkable
class Needy(Protocol):
    """A part that has to know the session."""

    def prepared(self, session: Host) -> Self:
        """The same part with what it needs. Raises ValueError if the session cannot tell."""


def prepared(part: Part, session: Host) -> Part:
    """A part as it is to be used on `session`: itself, unless it says that it needs something."""
    return part.prepared(session) if isinstance(part, Needy) else part
