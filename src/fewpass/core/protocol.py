"""What decoders and models agree on: queries, states, sessions, and what a session tells a decoder."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from torch import Tensor

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.codebook import Codebook
from fewpass.core.noise import Noise


@dataclass(frozen=True, eq=False)
class Query:
    """What a decoder asks: the law of the token that follows each of these.

    `tokens` [B, n] are fed at the image positions `index` [B, n]; answer j is the law of position index_j + 1,
    given the tokens in the slots up to index_j. Positions past the image are allowed; their answers mean nothing.

    Trees and two-dimensional windows say more. `sees` [B, n, M] says which of the slots 0..M-1 the token at j may see,
    itself included; by default all that were written, up to its own. `slot` [B, n] is where each token is kept, by
    default its position; slots past the window, as many past the image as `sees` speaks of, hold what competes for one.
    """

    tokens: Tensor
    index: Tensor
    slot: Tensor | None = None
    sees: Tensor | None = None


State = tuple[Tensor, ...]  # images first, so that the loop may select and join them

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


class Session(Protocol):
    """All that a decoder knows of a model: B prompts being continued.

    `first` [B, 1, V] are the logits of image token 0. A call answers a query [B, n] with logits [B, n, V]: guided,
    image codes only, -inf where the layout forbids.
    """

    @property
    def grid(self) -> Grid: ...
    @property
    def first(self) -> Tensor: ...
    def __call__(self, query: Query) -> Tensor: ...


@runtime_checkable
class ElasticSession(Session, Protocol):
    """A session whose images may leave and join between passes.

    `select` goes on with the images listed in `images` [b], `join` with these and then those of `other`. What they
    return may lie in the memory of the sessions that it comes from, which are not to be used any more.
    """

    def select(self, images: Tensor) -> Self: ...
    def join(self, other: Self) -> Self: ...


class Maker(Protocol):
    """A recipe, as decoders see it: `fewpass.decoders.spec.Recipe`."""

    name: str
    lossless: bool

    def build(self, args: Sequence[Any], options: Mapping[str, Any]) -> "Decoder": ...


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
        """Whether images have exactly the law of autoregression, by its recipe; None if it was made by hand."""
        return self.made_by.lossless if self.made_by else None

    def with_options(self, **options: Any) -> "Decoder":
        """The decoder of the same recipe with other values for these options.

        Raises ValueError naming an option that the recipe does not have, or a value that is out of range.
        """
        if self.made_by is None:
            raise ValueError(f"{self} has no options: it was made by hand, not by a recipe")
        return self.made_by.build((), {**self.options, **options})

    def __repr__(self) -> str:
        """The text that makes it, such as `sjd(window=15, guess=uniform)`; parts, if it was made by hand."""
        parts = {f.name: getattr(self, f.name) for f in fields(self) if f.compare}
        given = self.options if self.made_by else parts
        text = ", ".join(f"{name}={value}" for name, value in given.items())
        name = self.recipe or type(self).__name__
        return f"{name}({text})" if text else name

    def prepared(self, session: Host) -> Self:
        """This decoder, with all that it needs to know of the model.

        Raises ValueError naming what the session cannot offer.
        """
        return self

    @property
    @abstractmethod
    def margin(self) -> int:
        """Positions past the image that the canvas must have room for."""

    @abstractmethod
    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        """Guess ahead of the first token, which was drawn from p [B, 1, V]."""

    @abstractmethod
    def draft(self, canvas: Canvas, state: State) -> Query:
        """What to ask in this pass."""

    @abstractmethod
    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        """Commit what the answers p [B, n, V] confirm, and guess again."""


def fitted(decoder: Decoder, host: Host) -> Decoder:
    """The decoder with all that it needs to know of `host`. Raises ValueError naming decoder and what is missing."""
    try:
        return decoder.prepared(host)
    except ValueError as error:
        raise ValueError(f"{decoder}: {error}") from None
