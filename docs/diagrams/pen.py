"""A pen for diagrams: tokens, distributions and arrows, as SVG that follows the colours of its page."""

from collections.abc import Sequence
from html import escape

SIDE, STEP = 34, 42  # of a token, and from one to the next
WIDTH = 560  # all diagrams are as wide, so that their letters are of one size

STYLE = """
.fp text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--fp-ink,#1f2937)}
.fp .soft{fill:var(--fp-soft,#667085)} .fp .faint{fill:var(--fp-line,#cbd2dc)}
.fp rect,.fp path,.fp circle,.fp line{stroke-width:1.6;stroke-linejoin:round;stroke-linecap:round}
.fp .wire{fill:none;stroke:var(--fp-soft,#667085)} .fp .tip{fill:var(--fp-soft,#667085);stroke:none}
.fp .grid{fill:none;stroke:var(--fp-line,#cbd2dc)} .fp .dash{stroke-dasharray:4 4}
.fp .panel{fill:var(--fp-panel,#f3f4f8);stroke:none}
.fp .final{fill:var(--fp-final,#4f46e5);stroke:var(--fp-final,#4f46e5)} .fp text.on-final{fill:#fff}
.fp .draft{fill:var(--fp-draft-in,#fef3c7);stroke:var(--fp-draft,#d97706);stroke-dasharray:4 3}
.fp .kept{fill:var(--fp-kept-in,#d1fae5);stroke:var(--fp-kept,#059669)}
.fp .wrong{fill:var(--fp-wrong-in,#fee2e2);stroke:var(--fp-wrong,#dc2626)}
.fp .empty{fill:none;stroke:var(--fp-line,#cbd2dc)}
.fp text.is-kept{fill:var(--fp-kept,#059669)} .fp text.is-wrong{fill:var(--fp-wrong,#dc2626)}
.fp text.is-draft{fill:var(--fp-draft,#b45309)} .fp text.is-final{fill:var(--fp-final,#4f46e5)}
.fp .p{fill:var(--fp-final,#4f46e5);stroke:none} .fp .q{fill:var(--fp-draft,#d97706);stroke:none}
.fp .p-line{fill:none;stroke:var(--fp-final,#4f46e5)} .fp .q-line{fill:none;stroke:var(--fp-draft,#d97706)}
.fp .shared{fill:var(--fp-kept,#059669);stroke:none} .fp .rest{fill:var(--fp-wrong,#dc2626);stroke:none}
.fp .tick{stroke:var(--fp-kept,#059669);stroke-width:2.4} .fp .cross{stroke:var(--fp-wrong,#dc2626);stroke-width:2.4}
.fp .thin{opacity:.35}
"""


class Pen:
    """Collects shapes. Coordinates are those of a page `WIDTH` wide; `title` is what a screen reader says."""

    def __init__(self, height: float, title: str):
        self.height, self.title, self.shapes = height, title, list[str]()

    def svg(self) -> str:
        style = " ".join(line for line in STYLE.splitlines() if line)
        head = f'<svg class="fp" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_n(self.height)}"'
        body = "\n".join(self.shapes)
        return f'{head} role="img" aria-label="{escape(self.title)}">\n<style>{style}</style>\n{body}\n</svg>\n'

    def text(self, x: float, y: float, words: str, kind: str = "", size: float = 15, at: str = "middle") -> None:
        """Words whose middle is at height `y`; `at` is "start", "middle" or "end"."""
        look = f' class="{kind}"' if kind else ""
        place = f'x="{_n(x)}" y="{_n(y + 0.35 * size)}" font-size="{_n(size)}" text-anchor="{at}"'
        self.shapes.append(f"<text{look} {place}>{escape(words)}</text>")

    def label(self, y: float, words: str, kind: str = "soft") -> None:
        """What a row is, at the left."""
        self.text(8, y, words, kind, 14, "start")

    def box(self, x: float, y: float, w: float, h: float, kind: str, round_: float = 6) -> None:
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}" rx="{_n(round_)}"'
        self.shapes.append(f'<rect class="{kind}" {place}/>')

    def token(self, x: float, y: float, word: str, kind: str, side: float = SIDE) -> None:
        """A token whose middle is at (x, y): final, draft, kept, wrong or empty."""
        self.box(x - side / 2, y - side / 2, side, side, kind, side / 5)
        if word:
            self.text(x, y, word, "on-final" if kind == "final" else "", side * 0.47)

    def row(self, x: float, y: float, tokens: Sequence[tuple[str, str]], step: float = STEP) -> None:
        """Tokens (word, kind) side by side, the first one's middle at (x, y)."""
        for i, (word, kind) in enumerate(tokens):
            self.token(x + i * step, y, word, kind)

    def path(self, d: str, kind: str) -> None:
        self.shapes.append(f'<path class="{kind}" d="{d}"/>')

    def line(self, *points: tuple[float, float], kind: str = "wire") -> None:
        self.path("M" + " L".join(f"{_n(x)} {_n(y)}" for x, y in points), kind)

    def arrow(self, *points: tuple[float, float], kind: str = "wire") -> None:
        """A line with a tip at its last point."""
        (x0, y0), (x1, y1) = points[-2:]
        far = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        u, v = (x1 - x0) / far, (y1 - y0) / far
        base = x1 - 8 * u, y1 - 8 * v
        self.line(*points[:-1], base, kind=kind)
        corners = [(x1, y1), (base[0] - 4 * v, base[1] + 4 * u), (base[0] + 4 * v, base[1] - 4 * u)]
        self.path("M" + " L".join(f"{_n(x)} {_n(y)}" for x, y in corners) + " Z", "tip")

    def bars(self, x: float, y: float, heights: Sequence[float], kind: str, step: float = 7, scale: float = 26) -> None:
        """A distribution as bars on the line y, from x on."""
        for i, h in enumerate(heights):
            self.box(x + i * step, y - h * scale, step - 2, max(h * scale, 1), kind, 1)

    def mark(self, x: float, y: float, good: bool, size: float = 7) -> None:
        """A tick or a cross."""
        if good:
            self.line((x - size, y), (x - size / 3, y + size * 0.7), (x + size, y - size * 0.8), kind="grid tick")
        else:
            self.line((x - size * 0.7, y - size * 0.7), (x + size * 0.7, y + size * 0.7), kind="grid cross")
            self.line((x - size * 0.7, y + size * 0.7), (x + size * 0.7, y - size * 0.7), kind="grid cross")

    def forward(self, y: float, x: float = 100, w: float = WIDTH - 108, words: str = "one forward pass") -> None:
        """The model, with a pass over everything above it."""
        self.box(x, y - 15, w, 30, "panel", 8)
        self.text(x + w / 2, y, words, "soft", 14)


def _n(value: float) -> str:
    """A number, short, and the same on every machine."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
