"""Diagrams of the distribution of one position."""

from pen import Pen

NOISE = [0.9, 0.35, 1.3, 0.55, 2.1, 0.7]  # exponential noise of six codes


def gumbel() -> Pen:
    """Gumbel-max with the same noise in every pass: the draft changes only when its distribution has changed a lot."""
    pen = Pen(
        262,
        "Gumbel sharing: distributions of three passes, divided by the same noise; two of them draw the same code",
    )
    distributions = [
        [0.1, 0.3, 0.15, 0.2, 0.2, 0.05],
        [0.12, 0.24, 0.2, 0.22, 0.15, 0.07],
        [0.1, 0.08, 0.12, 0.52, 0.13, 0.05],
    ]
    pen.label(66, "p")
    pen.label(132, "÷ noise e")
    pen.label(204, "p / e")
    for i, ps in enumerate(distributions):
        left = 112 + i * 152
        pen.box(left - 12, 2, 142, 256, "panel", 10)
        pen.text(left + 58, 20, f"pass {i + 1}", "", 15)
        score = [p / e for p, e in zip(ps, NOISE, strict=True)]
        best = score.index(max(score))
        pen.bars(left, 86, [p * 2 for p in ps], "p", 20, 46)
        pen.bars(left, 152, [e / 2.1 for e in NOISE], "q", 20, 40)
        for code, s in enumerate(score):
            kind = "shared" if code == best else "shared thin"
            pen.bars(left + 20 * code, 224, [s], kind, 20, 56)
        pen.text(left + 20 * best + 9, 240, "abcdef"[best], "is-kept", 16)
    return pen


def relaxed() -> Pen:
    """Three ways to accept more drafts."""
    pen = Pen(
        248, "Relaxed tests: GSD compares groups of codes, LANTERN lends the mass of similar codes, COOL-SD scales"
    )
    for i, (name, what) in enumerate(
        (
            ("GSD", "p(group) / q(group)"),
            ("LANTERN", "p(x) + what x borrows"),
            ("COOL-SD", "wᵢ · p(x) / q(x)"),
        )
    ):
        left = 4 + i * 188
        pen.box(left, 2, 176, 242, "panel", 10)
        pen.text(left + 88, 24, name, "", 16)
        pen.text(left + 88, 228, what, "", 13.5)
    _grouped(pen, 4)
    _lent(pen, 192)
    _annealed(pen, 380)
    return pen


def _grouped(pen: Pen, left: float) -> None:
    ranked = [0.95, 0.8, 0.62, 0.5, 0.44, 0.3, 0.2, 0.12]
    for i, height in enumerate(ranked):
        kind = "q" if i == 3 else "shared" if 2 <= i <= 4 else "p thin"
        pen.bars(left + 16 + 18 * i, 166, [height], kind, 18, 100)
    pen.line((left + 50, 172), (left + 50, 178), (left + 104, 178), (left + 104, 172), kind="wire")
    pen.text(left + 77, 188, "group of x", "soft", 12.5)
    pen.text(left + 88, 206, "codes in the order of p", "soft", 12.5)


def _lent(pen: Pen, left: float) -> None:
    around = [(60, 84), (122, 70), (128, 124), (66, 140), (100, 158), (34, 120)]
    x, y = left + 92, 108
    pen.shapes.append(f'<circle class="grid dash" cx="{x}" cy="{y}" r="44"/>')
    for i, (dx, dy) in enumerate(around):
        near = ((left + dx - x) ** 2 + (dy - y) ** 2) ** 0.5 < 44
        pen.shapes.append(
            f'<circle class="{"shared" if near else "p thin"}" cx="{left + dx}" cy="{dy}" r="{6 + i % 3}"/>'
        )
        if near:
            far = ((left + dx - x) ** 2 + (dy - y) ** 2) ** 0.5
            u, v = (x - left - dx) / far, (y - dy) / far
            pen.arrow((left + dx + 10 * u, dy + 10 * v), (x - 13 * u, y - 13 * v))
    pen.shapes.append(f'<circle class="q" cx="{x}" cy="{y}" r="10"/>')
    pen.text(x, y, "x", "on-final", 13)
    pen.text(left + 88, 188, "codes that look alike", "soft", 12.5)
    pen.text(left + 88, 206, "lend at most δ", "soft", 12.5)


def _annealed(pen: Pen, left: float) -> None:
    weights = [1.9, 1.45, 1.15, 1.0, 1.0, 1.0]
    for i, w in enumerate(weights):
        pen.bars(left + 22 + 23 * i, 166, [w], "shared" if w > 1 else "p thin", 22, 56)
    pen.line((left + 14, 110), (left + 162, 110), kind="wire dash")
    pen.text(left + 164, 100, "1", "soft", 12.5, "end")
    pen.text(left + 88, 188, "weights w of the slots:", "soft", 12.5)
    pen.text(left + 88, 206, "most lenient first", "soft", 12.5)
