"""The two panels, in HTML."""

from collections.abc import Sequence
from html import escape

from fewpass.demo.panel import View
from fewpass.engine.report import law
from fewpass.viz.colour_scale import ANCHORS, ticks

MEANING = "Pass at which each token became final"


def board(views: Sequence[View], note: str = "") -> str:
    """All drawings side by side, a note on how they stand, and the colour scale they share."""
    panels = "".join(map(_panel, views))
    slowest = max(view.total for view in views)  # what autoregression needs, so that colours mean the same throughout
    return f'<div class="fp-panels">{panels}</div>{_note(note)}{_legend(slowest)}'


def verdict(views: Sequence[View], same: bool) -> str:
    """What a finished race says about `ar`, which is first, and its rival. `same`: did they draw the same tokens?"""
    slow, fast = views
    name = _name(fast)
    if fast.passes == slow.passes:
        passes = f"{name} took {fast.passes} passes, as many as ar"
    else:
        passes = (
            f"{name} took {fast.passes} passes instead of {slow.passes}: {slow.passes / fast.passes:.1f} times fewer"
        )
    word = "and" if fast.seconds <= slow.seconds else "but"
    seconds = f"{word} {fast.seconds:.1f} s instead of {slow.seconds:.1f} s of this machine's time"
    if same:
        pictures = "The pictures are the same, token for token."
    elif fast.decoder.lossless:
        pictures = "Lossless: another picture from the same distribution."
    else:
        pictures = "Lossy: not exactly the model's distribution any more."
    return f"{passes}, {seconds}. {pictures}"


def _panel(view: View) -> str:
    name, _, options = str(view.decoder).rstrip(")").partition("(")
    settings = escape(options.replace("=", " ")) or "one token per pass"
    word = law(view.decoder.lossless)
    done = 100 * view.tokens / view.total
    rate = f"{view.tokens / view.passes:.2f}" if view.passes else "0"
    save = _save(view, name) if view.finished else ""
    return f"""
<section class="fp-panel{" fp-finished" * view.finished}" aria-label="{escape(name)}" data-passes="{view.passes}">
<header><h2>{escape(name)}</h2><span class="fp-law fp-{word.split()[0]}">{word}</span>
<p title="{settings}">{settings}</p></header>
<div class="fp-picture" style="{_lattice(view)}">{_image(view.picture, f"the image drawn by {name} so far")}</div>
<div class="fp-bar"><i style="width:{done:.1f}%"></i></div>
<div class="fp-facts">
<div class="fp-numbers">
<p class="fp-passes"><b>{view.passes}</b> <span>passes</span></p>
<p>{view.tokens}<small>/{view.total}</small> <span>tokens</span></p>
<p>{rate} <span>tokens per pass</span></p>
<p>{view.seconds:.1f} <span>seconds</span></p>
{save}
</div>
<div class="fp-heat" style="{_lattice(view)}">{_image(view.heat, f"{MEANING}, drawn by {name}")}</div>
</div>
</section>"""


def _lattice(view: View) -> str:
    """The shape of a drawing, and how many tokens there are each way."""
    return f"aspect-ratio:{view.cols}/{view.rows};--cols:{view.cols};--rows:{view.rows}"


def _image(url: str, alternative: str) -> str:
    return f'<img src="{url}" alt="{escape(alternative)}" decoding="sync">' if url else ""


def _save(view: View, name: str) -> str:
    return f'<a class="fp-save" href="{view.picture}" download="{escape(name)}.png">Save PNG</a>'


def _note(note: str) -> str:
    return f'<p class="fp-note" role="status">{escape(note)}</p>'


def _legend(slowest: int) -> str:
    stops = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in ANCHORS.tolist())
    numbers = "".join(f"<span>{tick}</span>" for tick in ticks(slowest))
    return f"""
<div class="fp-legend"><p>{MEANING}</p>
<div class="fp-scale" style="background:linear-gradient(90deg, {stops})"></div>
<div class="fp-ticks">{numbers}</div></div>"""


def _name(view: View) -> str:
    return str(view.decoder).partition("(")[0]
