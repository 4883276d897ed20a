"""The HTML of the page: the two panels, and lines about decoders and errors."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from fewpass.decoders import decoder as decoder_of
from fewpass.decoders import named
from fewpass.demo.view import View
from fewpass.engine.result import law
from fewpass.models.base import Model
from fewpass.models.class_names import class_prompts
from fewpass.viz.colours import ANCHORS, ticks
from fewpass.viz.encode import rendered

BOARD = Path(__file__).with_name("board.html.jinja")
MEANING = "Pass at which each token became final"
EXAMPLES = {
    "emoji": (
        "two stars on a blue background",
        "an owl on a white background",
        "a heart left of a cat on a teal background",
        "three pineapples on a yellow background",
    )
}
SAMPLES = 4  # classes
OTHERS = ("a red fox in the snow", "a lighthouse at dusk, oil painting", "a bowl of oranges on a wooden table")


def board(views: Sequence[View], note: str = "") -> str:
    """Both drawings side by side, a note, and their colour scale."""
    slowest = max(view.grid.size for view in views)  # passes of `ar`, so that colours keep their meaning
    stops = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in ANCHORS.tolist())
    return rendered(BOARD, views=views, law=law, note=note, meaning=MEANING, stops=stops, ticks=ticks(slowest))


def verdict(views: Sequence[View], same: bool) -> str:
    """Compare passes, seconds and pictures of two finished drawings, `ar` first; `same` if their tokens are equal."""
    slow, fast = views
    fewer = f"instead of {slow.passes}: {slow.passes / fast.passes:.1f} times fewer"
    passes = f"{fast.passes} passes{', as many as ar' if fast.passes == slow.passes else f' {fewer}'}"
    word = "and" if fast.seconds <= slow.seconds else "but"
    seconds = f"{word} {fast.seconds:.1f} s instead of {slow.seconds:.1f} s of this machine's time"
    if same:
        pictures = "The pictures are the same, token for token."
    elif fast.decoder.lossless:
        pictures = "Lossless: another picture from the same distribution."
    else:
        pictures = "Lossy: not exactly the model's distribution."
    return f"{fast.decoder.recipe} took {passes}, {seconds}. {pictures}"


def examples_of(model: Model) -> tuple[str, ...]:
    """Sample prompts that a model reads: texts, or some of its classes."""
    if model.labels:
        return tuple(class_prompts(model.classes, model.labels)[:SAMPLES])
    return EXAMPLES.get(model.name, OTHERS)


def describe(spelling: str | None) -> tuple[int | None, str]:
    """The window of a decoder and its description; None and an empty text if it has none or cannot be read."""
    try:
        chosen = decoder_of(spelling or "")
    except ValueError:
        return None, ""
    recipe = named(chosen.recipe)
    text = " ".join((recipe.__doc__ or "").split())
    words = re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text))
    source = f'<span class="fp-source">{escape(recipe.source)}</span>'
    return chosen.options.get("window"), f"<p>{words} {source}</p>"


def alert(message: str) -> str:
    """A line about an error."""
    return f'<p class="fp-alert" role="alert">{escape(message)}</p>'


def status(message: str) -> str:
    """A line about work in progress."""
    return f'<p class="fp-waiting" role="status">{escape(message)} …</p>'
