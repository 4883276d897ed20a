"""The published algorithms and our own, as values made of parts; here decoders are looked up by their names."""

import re
import warnings
from importlib.metadata import EntryPoint, entry_points

from fewpass.core.messages import meant, shown
from fewpass.core.protocol import Decoder
from fewpass.decoders.recipes import RECIPES
from fewpass.decoders.spec import Recipe, read

GROUP = "fewpass.decoders"  # the entry points by which other packages add recipes: name = "package.module:name"


def every_recipe() -> dict[str, Recipe[...]]:
    """Our recipes and those of other packages, by name; a name of ours is never theirs."""
    return RECIPES | {point.name: _loaded(point) for point in entry_points(group=GROUP) if point.name not in RECIPES}


def named(name: str) -> Recipe[...]:
    """The recipe of this name. Raises ValueError if there is none."""
    if name in RECIPES:
        return RECIPES[name]
    others = entry_points(group=GROUP)
    if name in others.names:
        return _loaded(others[name])
    known = list(dict.fromkeys([*RECIPES, *(point.name for point in others)]))
    raise ValueError(f"unknown decoder {shown(name)}{meant(name, known)}; there are {', '.join(known)}")


def _loaded(point: EntryPoint) -> Recipe[...]:
    found = point.load()
    if not isinstance(found, Recipe) or found.name != point.name:
        raise ValueError(f"entry point {point.value} must be a recipe named {point.name!r}, got {shown(found)}")
    return found


def decoder(chosen: Decoder | str) -> Decoder:
    """A decoder, given as itself or as text: `"sjd"`, `"sjdpp(threshold=0.2, guess=left_sample)"`.

    Raises ValueError naming the name or the option that does not exist.
    """
    if isinstance(chosen, Decoder):
        return chosen
    if not isinstance(chosen, str):
        raise ValueError(f"decoder must be a decoder or its spelling, like 'sjd(window=16)', got {shown(chosen)}")
    name, args, options = read(_without_auto(chosen))
    return named(name)(*args, **options)


AS_NGRAM = re.compile(r"auto(\(((window=)?\d+|(decoder=)?jacobi_ngram(\(\))?|,)*\))?")


def _without_auto(text: str) -> str:
    """`jacobi_ngram` for `auto` of fewpass 0.1.0 around it: another window in every pass, the same tokens."""
    if not re.match(r"\s*auto\b", text):
        return text
    if not AS_NGRAM.fullmatch(re.sub(r"[\s'\"]", "", text)):
        raise ValueError(f"{shown(text)} is not supported: fewpass 0.1.0 is the last release that draws it")
    warnings.warn("decoder 'auto' is read as 'jacobi_ngram', which draws the same tokens", stacklevel=3)
    return "jacobi_ngram"
