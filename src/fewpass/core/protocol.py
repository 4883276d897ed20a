"""The interface between decoders and models.

decoder --- Query(tokens, index) ---> session (the model)
   ^                                     |
   |                                   logits
 canvas <-- commit -- p [B, n, V] <------+
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.codebook import Codebook
from fewpass.core.noise import Noise


@dataclass(frozen=True, eq=False)
class Query:
    """The tokens of one forward pass; the answers are the distributions of the tokens that follow them.

    `tokens` [B, n] are fed at the image positions `index` [B, n]; answer j is the distribution at position
    index_j + 1, given the tokens in the slots up to index_j. Positions past the image are allowed; their answers have
    no meaning.

    For trees and rows side by side, `sees` [B, n, M] is a mask of the slots 0..M-1 that token j attends to, its own
    included (by default all slots written so far, up to its own), and `slot` [B, n] is the slot of each token (by
    default its position). Slots past the image, up to M, hold branches.
    """

    tokens: Tensor
    index: Tensor
    slot: Tensor | None = None
    sees: Tensor | None = None


def with_branches(canvas: Canvas, index: Tensor, x: Tensor, offset: Tensor, forks: Tensor, line: Tensor) -> Query:
    """The query of the chain at the positions `index` [B, n], and of tokens x [B, S] beside it.

    A branch is at position length + `offset` [S] and sees the chain up to position length + `forks` [S], and of the
    others those in `line` [S, S], itself included.
    """
    size, beside = canvas.grid.size, canvas.length[:, None] + offset
    spare = torch.arange(size + 1, size + 1 + len(offset), device=index.device).expand_as(beside)
    reach = torch.cat([index.clamp(max=size) + 1, canvas.length[:, None] + forks], 1)
    own = F.pad(line, (size + 1, 0, index.shape[1], 0))
    return Query(
        tokens=torch.cat([canvas.read(index), x], 1),
        index=torch.cat([index, beside], 1),
        slot=torch.cat([index.clamp(max=size), spare], 1),
        sees=(torch.arange(own.shape[1], device=index.device) < reach[..., None]) | own,
    )


State = tuple[Tensor, ...]  # images first, so that the loop may select and join them

Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class SessionInfo:
    """The facts about a session that decoders are bound to."""

    grid: Grid
    codebook: Codebook | None = None


@runtime_checkable
class Bindable(Protocol):
    """A part of a decoder that needs facts about the session."""

    def bind(self, info: SessionInfo) -> Self:
        """The same part with these facts. Raises ValueError if one is missing."""


def bind_part(part: Part, info: SessionInfo) -> Part:
    """The part bound to a session; itself if it needs no facts."""
    return part.bind(info) if isinstance(part, Bindable) else part


class Session(Protocol):
    """A model with the prompts of B images.

    `first` [B, 1, V] are the logits of image token 0. A call answers a query [B, n] with logits [B, n, V]: after
    guidance, of image codes only, -inf where the layout forbids a code. An attribute `codebook` is optional.
    """

    @property
    def grid(self) -> Grid: ...
    @property
    def first(self) -> Tensor: ...
    def __call__(self, query: Query) -> Tensor: ...


@runtime_checkable
class ElasticSession(Session, Protocol):
    """A session whose images leave and join between passes.

    `select` keeps the images listed in `images` [b]; `join` appends those of `other`. The result may share memory with
    the sessions it was made from, which must not be used any more.
    """

    def select(self, images: Tensor) -> Self: ...
    def join(self, other: Self) -> Self: ...


class Maker(Protocol):
    """A recipe, as decoders see it: `fewpass.decoders.spec.Recipe`."""

    name: str
    lossless: bool

    def __call__(self, *args: Any, **options: Any) -> "Decoder": ...


@dataclass(frozen=True)
class Decoder(ABC):
    """An algorithm with its options: a value without state of its own. Between passes it has a `State`."""

    made_by: Maker | None = field(default=None, kw_only=True, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict, kw_only=True, compare=False)

    def __init_subclass__(cls) -> None:
        if "__repr__" not in vars(cls):  # `dataclass` would add one
            cls.__repr__ = Decoder.__repr__  # type: ignore[method-assign]

    @property
    def recipe(self) -> str:
        """The name of its recipe; empty if it was made by hand."""
        return self.made_by.name if self.made_by else ""

    @property
    def lossless(self) -> bool | None:
        """Whether images have the distribution of autoregression, by its recipe; None for a decoder made by hand."""
        return self.made_by.lossless if self.made_by else None

    def with_options(self, **options: Any) -> "Decoder":
        """The decoder of the same recipe with other values for these options.

        Raises ValueError naming an option that the recipe does not have, or a value that is out of range.
        """
        if self.made_by is None:
            raise ValueError(f"{self} has no options: it was made by hand, not by a recipe")
        return self.made_by(**{**self.options, **options})

    def __repr__(self) -> str:
        """The text that makes it, such as `sjd(window=15, guess=uniform)`; parts, if it was made by hand."""
        parts = {f.name: getattr(self, f.name) for f in fields(self) if f.compare}
        given = self.options if self.made_by else parts
        text = ", ".join(f"{name}={value}" for name, value in given.items())
        name = self.recipe or type(self).__name__
        return f"{name}({text})" if text else name

    def bind(self, info: SessionInfo) -> Self:
        """The same decoder bound to a session. Raises ValueError if the session lacks a requirement."""
        return self

    @property
    @abstractmethod
    def margin(self) -> int:
        """Positions that the canvas needs past the image."""

    @abstractmethod
    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        """Draft behind the first token, which was drawn from p [B, 1, V]."""

    @abstractmethod
    def draft(self, canvas: Canvas, state: State) -> Query:
        """The query of the next forward pass."""

    @abstractmethod
    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        """Commit the drafts that p [B, n, V], the answers to the query, confirms, and draft again."""


def bind(decoder: Decoder, info: SessionInfo) -> Decoder:
    """The decoder bound to a session. Raises ValueError naming the decoder and the missing requirement."""
    try:
        return decoder.bind(info)
    except ValueError as error:
        raise ValueError(f"{decoder}: {error}") from None
