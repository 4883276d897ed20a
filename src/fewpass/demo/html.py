"""The HTML of the page: the two panels, and lines about decoders and errors."""

import re
from collections.abc import Sequence
from html import escape

from fewpass.decoders.recipes import decoder as decoder_of
from fewpass.decoders.recipes import named
from fewpass.demo.view import View
from fewpass.engine.result import law
from fewpass.models.base import Model
from fewpass.models.class_names import class_prompts
from fewpass.viz.colour_scale import ANCHORS, ticks

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
    panels = "".join(map(_panel, views))
    slowest = max(view.grid.size for view in views)  # passes of `ar`, so that colours keep their meaning
    note = f'<p class="fp-note" role="status">{escape(note)}</p>'
    return f'<div class="fp-panels">{panels}</div>{note}{_legend(slowest)}'


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
    return f"{str(fast.decoder).partition('(')[0]} took {passes}, {seconds}. {pictures}"


def _panel(view: View) -> str:
    name, _, options = str(view.decoder).rstrip(")").partition("(")
    settings = escape(options.replace("=", " ")) or "one token per pass"
    word = law(view.decoder.lossless)
    done = 100 * view.tokens / view.grid.size
    rate = f"{view.tokens / view.passes:.2f}" if view.passes else "0"
    href = f'href="{view.picture}" download="{escape(name)}.png"'
    save = f'<a class="fp-save" {href}>Save PNG</a>' if view.finished else ""
    return f"""
<section class="fp-panel{" fp-finished" * view.finished}" aria-label="{escape(name)}" data-passes="{view.passes}">
<header><h2>{escape(name)}</h2><span class="fp-exactness fp-{word.split()[0]}">{word}</span>
<p title="{settings}">{settings}</p></header>
<div class="fp-picture" style="{_lattice(view)}">{_image(view.picture, f"the image drawn by {name} so far")}</div>
<div class="fp-bar"><i style="width:{done:.1f}%"></i></div>
<div class="fp-facts">
<div class="fp-numbers">
<p class="fp-passes"><b>{view.passes}</b> <span>passes</span></p>
<p>{view.tokens}<small>/{view.grid.size}</small> <span>tokens</span></p>
<p>{rate} <span>tokens per pass</span></p>
<p>{view.seconds:.1f} <span>seconds</span></p>
{save}
</div>
<div class="fp-heat" style="{_lattice(view)}">{_image(view.heat, f"{MEANING}, drawn by {name}")}</div>
</div>
</section>"""


def _lattice(view: View) -> str:
    """The shape of a drawing and its numbers of tokens, as CSS."""
    return f"aspect-ratio:{view.grid.cols}/{view.grid.rows};--cols:{view.grid.cols};--rows:{view.grid.rows}"


def _image(url: str, alternative: str) -> str:
    return f'<img src="{url}" alt="{escape(alternative)}" decoding="sync">' if url else ""


def _legend(slowest: int) -> str:
    stops = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in ANCHORS.tolist())
    numbers = "".join(f"<span>{tick}</span>" for tick in ticks(slowest))
    return f"""
<div class="fp-legend"><p>{MEANING}</p>
<div class="fp-scale" style="background:linear-gradient(90deg, {stops})"></div>
<div class="fp-ticks">{numbers}</div></div>"""


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
