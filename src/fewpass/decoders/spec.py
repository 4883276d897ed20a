"""Recipes as text: `sjdpp(threshold=0.2, guess=left_sample)` in Python, on a command line and over HTTP alike."""

import ast
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, ParamSpec

from fewpass.core.checks import plain
from fewpass.core.messages import meant, shown
from fewpass.core.protocol import Decoder

LONGEST = 200  # characters: Python's parser recurses

P = ParamSpec("P")


class Recipe(Generic[P]):
    """A named way to make a decoder. Calling it gives the decoder, which remembers how it was spelled.

    `source` is where the algorithm comes from; `lossless` whether images have exactly the law of autoregression.
    """

    def __init__(self, make: Callable[P, Decoder], source: str, lossless: bool):
        self.make, self.source, self.lossless = make, source, lossless
        self.name = make.__name__
        self.parameters = inspect.signature(make).parameters
        functools.update_wrapper(self, make)

    def __call__(self, *args: P.args, **options: P.kwargs) -> Decoder:
        bound = inspect.signature(self.make).bind(*args, **options)
        bound.apply_defaults()
        bound.arguments |= {option: plain(value) for option, value in bound.arguments.items()}
        for option, value in bound.arguments.items():
            self._check(option, value)
        decoder = self.make(*bound.args, **bound.kwargs)
        text = ", ".join(f"{option}={value}" for option, value in bound.arguments.items())
        return replace(decoder, spelling=f"{self.name}({text})" if text else self.name, lossless=self.lossless)

    def __reduce__(self) -> str:
        """Pickled and copied by its name, as the function is that it stands for."""
        return self.name

    def __repr__(self) -> str:
        return f"<recipe {self.name}{inspect.signature(self.make)}>"

    def _check(self, option: str, value: object) -> None:
        kind = self.parameters[option].annotation
        if not _fits(value, kind):
            raise ValueError(f"{self.name}: {option} must be {_KINDS[kind]}, not {shown(value)}")


_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "True or False",
}


def _fits(value: object, kind: object) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)  # type: ignore[arg-type]


def recipe(source: str, lossless: bool) -> Callable[[Callable[P, Decoder]], Recipe[P]]:
    """Make a recipe of a function that returns a decoder; its options are its signature."""
    return lambda make: Recipe(make, source, lossless)


def parse(text: str, recipes: Mapping[str, Recipe[...]]) -> Decoder:
    """The decoder that `text` spells. Options are literals, bare words or spellings; nothing is evaluated.

    Raises ValueError naming what is unknown or does not fit, and what there is instead.
    """
    name, args, options = _read(text)
    if name not in recipes:
        raise ValueError(f"unknown decoder {shown(name)}{meant(name, recipes)}; there are {', '.join(recipes)}")
    chosen = recipes[name]
    known = list(chosen.parameters)
    for option in options:
        if option not in known:
            raise ValueError(
                f"{name} has no option {shown(option)}{meant(option, known)}; it has {', '.join(known) or 'none'}"
            )
    try:
        inspect.signature(chosen.make).bind(*args, **options)
    except TypeError as error:
        raise ValueError(f"{shown(text)}: {error}; {name} takes {', '.join(known) or 'no options'}") from None
    return chosen(*args, **options)


def options_of(text: str) -> dict[str, Any]:
    """The options that a spelling gives by name."""
    return _read(text)[2]


def _read(text: str) -> tuple[str, list[Any], dict[str, Any]]:
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
