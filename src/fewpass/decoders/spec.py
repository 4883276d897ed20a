"""Recipes: named ways to make a decoder, whose options are data, in Python, on a command line and over HTTP alike."""

import ast
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, ParamSpec

from fewpass.core.checks import plain
from fewpass.core.messages import meant, shown
from fewpass.core.protocol import Decoder

LONGEST = 200  # characters of a text: Python's parser recurses

P = ParamSpec("P")


class Recipe(Generic[P]):
    """A named way to make a decoder; the decoder holds the recipe and all of its options.

    `source` cites the algorithm; `lossless` is whether images have exactly the distribution of autoregression.
    """

    def __init__(self, make: Callable[P, Decoder], source: str, lossless: bool):
        self.make, self.source, self.lossless = make, source, lossless
        self.name, self.signature = make.__name__, inspect.signature(make)
        functools.update_wrapper(self, make)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        return self.signature.parameters

    def __call__(self, *args: P.args, **options: P.kwargs) -> Decoder:
        """The decoder with these options. Raises ValueError for one that does not exist or is out of range."""
        known = ", ".join(self.parameters) or "no options"
        for option in options:
            if option not in self.parameters:
                near = meant(option, self.parameters)
                raise ValueError(f"{self.name} has no option {shown(option)}{near}; it takes {known}")
        try:
            bound = self.signature.bind(*args, **options)
        except TypeError as error:
            raise ValueError(f"{self.name}: {error}; it takes {known}") from None
        bound.apply_defaults()
        bound.arguments |= {option: plain(value) for option, value in bound.arguments.items()}
        return replace(self.make(*bound.args, **bound.kwargs), made_by=self, options=dict(bound.arguments))

    def __reduce__(self) -> str:
        """Pickled and copied by its name, as a function is."""
        return self.name

    def __repr__(self) -> str:
        return f"<recipe {self.name}{self.signature}>"


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
