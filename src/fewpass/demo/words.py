"""What the page says about decoders, examples and mistakes."""

import re
from html import escape

from fewpass.decoders.recipes import decoder as decoder_of
from fewpass.decoders.recipes import named

EXAMPLES = {
    "emoji": (
        "two stars on a blue background",
        "an owl on a white background",
        "a heart left of a cat on a teal background",
        "three pineapples on a yellow background",
    )
}
ANYTHING = ("a red fox in the snow", "a lighthouse at dusk, oil painting", "a bowl of oranges on a wooden table")


def examples_of(model: str) -> tuple[str, ...]:
    """Prompts to begin with: the bundled model knows few words."""
    return EXAMPLES.get(model, ANYTHING)


def told_of(spelling: str | None) -> tuple[int | None, str]:
    """The window of a decoder, None where it has none, and what it is in HTML; nothing of what cannot be read."""
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
    """One line about what will not do."""
    return f'<p class="fp-alert" role="alert">{escape(message)}</p>'


def status(message: str) -> str:
    """One line about what is going on."""
    return f'<p class="fp-waiting" role="status">{escape(message)} …</p>'
