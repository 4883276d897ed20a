"""Names of classes as prompts of class-conditional models."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fewpass.core.messages import meant, shown

IMAGENET = Path(__file__).with_name("imagenet_classes.txt")
LISTED, LETTERS = 10, 40  # names in a message, and letters of one


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1000 classes, that of class 0 first."""
    return tuple(IMAGENET.read_text(encoding="utf-8").splitlines())


def class_number(prompt: str, names: Sequence[str], model: str) -> int:
    """The number of the class that `prompt` names, in any case; `names` are those of all classes of `model`.

    Raises:
        ValueError: No class has the name, or several have; the message lists near names, or the numbers.
    """
    numbers = [number for number, name in enumerate(names) if _folded(name) == _folded(prompt)]
    if len(numbers) == 1:
        return numbers[0]
    if numbers:
        raise ValueError(f"{model} has several classes {shown(prompt)}, {_listed(map(str, numbers))}: give the number")
    near = meant(prompt, dict.fromkeys(names))
    known = _listed(dict.fromkeys(name[:LETTERS] for name in names))
    raise ValueError(f"{model} has no class {shown(prompt)}{near}; its classes are {known}, or 0 to {len(names) - 1}")


def class_prompts(names: Sequence[str], number: int) -> list[str]:
    """A prompt for each of `number` classes: its name if no other class has it, else its number."""
    folded = [_folded(name) for name in names]
    unique = [n < len(folded) and folded.count(folded[n]) == 1 for n in range(number)]
    return [names[n] if unique[n] else str(n) for n in range(number)]


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _listed(items: Iterable[str]) -> str:
    every = list(items)
    more = f" and {len(every) - LISTED} more" if len(every) > LISTED else ""
    return ", ".join(every[:LISTED]) + more
