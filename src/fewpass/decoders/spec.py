"""Recipes: named ways to make a decoder, whose options are data, in Python, on a command line and over HTTP alike."""

import ast
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, ParamSpec

from fewpass.core.checks import plain
from fewpass.core.messages import meant, shown
from fewpass.core.protocol import Decoder

LONGEST = 200  # characters of a text: Python's parser recurses

P = ParamSpec("P")


class Recipe(Generic[P]):
    """A named way to make a decoder; the decoder holds the recipe and all of its options.

    `source` cites the algorithm; `lossless` is whether images have exactly the law of autoregression.
    """

    def __init__(self, make: Callable[P, Decoder], source: str, lossless: bool):
        self.make, self.source, self.lossless = make, source, lossless
        self.name, self.signature = make.__name__, inspect.signature(make)
        functools.update_wrapper(self, make)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        return self.signature.parameters

    def __call__(self, *args: P.args, **options: P.kwargs) -> Decoder:
        bound = self.signature.bind(*args, **options)
        bound.apply_defaults()
        bound.arguments |= {option: plain(value) for option, value in bound.arguments.items()}
        for option, value in bound.arguments.items():
            kind = self.parameters[option].annotation
            if not _fits(value, kind):
                raise ValueError(f"{self.name}: {option} must be {_KINDS[kind]}, not {shown(value)}")
        return replace(self.make(*bound.args, **bound.kwargs), made_by=self, options=dict(bound.arguments))

    def build(self, args: Sequence[Any], options: Mapping[str, Any]) -> Decoder:
        """The same as a call, but with a ValueError for options that do not exist."""
        known = list(self.parameters)
        for option in options:
            if option not in known:
                raise ValueError(
                    f"{self.name} has no option {shown(option)}{meant(option, known)};"
                    f" it has {', '.join(known) or 'none'}"
                )
        try:
            self.signature.bind(*args, **options)
        except TypeError as error:
            raise ValueError(f"{self.name}: {error}; it takes {', '.join(known) or 'no options'}") from None
        return self(*args, **options)

    def __reduce__(self) -> str:
        """Pickled and copied by its name, as a function is."""
        return self.name

    def __repr__(self) -> str:
        return f"<recipe {self.name}{self.signature}>"


_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "True or False"}


def _fits(value: object, kind: Any) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def recipe(source: str, lossless: bool) -> Callable[[Callable[P, Decoder]], Recipe[P]]:
    """Make a recipe of a function that returns a decoder; its options are its signature."""
    return lambda make: Recipe(make, source, lossless)


def read(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name, positional options and named options in a text such as `sjd(window=16, guess=left)`; nothing is evaluated.

    Options are literals or bare words. Raises ValueError for anything else.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a decoder must be spelled in at most {LONGEST} characters, got {shown(text)}")
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        node = None
    match node:
        case ast.Name(name):
            return name, [], {}
        case ast.Call(ast.Name(name), args, keywords) if all(k.arg for k in keywords):
            options = [str(k.arg) for k in keywords]
            for number, option in enumerate(options):
                if option in options[:number]:
                    raise ValueError(f"{shown(text)}: {shown(option)} is there twice")
            return name, [_value(a, text) for a in args], {str(k.arg): _value(k.value, text) for k in keywords}
    raise ValueError(f"{shown(text)} does not spell a decoder; write it like 'sjd' or 'sjd(window=16)'")


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return float("inf") if node.id == "inf" else node.id
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        part = ast.get_source_segment(text.strip(), node)
        raise ValueError(f"{shown(text)}: {shown(part)} is neither a literal nor a word") from None
