"""Diagrams of the decoders that ask about one window of tokens behind the last final one."""

from pen import STEP, WIDTH, Pen

X = 140  # where the first token of a row is


def loop() -> Pen:
    """The loop that all decoders share."""
    pen = Pen(196, "A loop of four steps: draft tokens ahead, one forward pass over all of them, verify, commit")
    steps = [("1  draft", "tokens ahead"), ("2  pass", "over all at once"), ("3  verify", "accepted?")]
    steps += [("4  commit", "one or more")]
    for i, (name, what) in enumerate(steps):
        left = 6 + i * 140
        pen.box(left, 6, 128, 138, "panel", 10)
        pen.text(left + 64, 28, name, "", 16)
        pen.text(left + 64, 124, what, "soft", 13.5)
        if i < 3:
            pen.arrow((left + 128, 75), (left + 140, 75))
    small = {"step": 26}
    for i, kinds in enumerate((["final"] + ["draft"] * 3, None, ["kept", "kept", "wrong", "empty"], ["final"] * 3)):
        left = 6 + i * 140
        if kinds is None:
            pen.box(left + 26, 54, 76, 46, "final", 8)
            pen.text(left + 64, 77, "model", "on-final", 15)
        else:
            start = left + 64 - small["step"] * (len(kinds) - 1) / 2
            for j, kind in enumerate(kinds):
                pen.token(start + j * small["step"], 77, "", kind, 22)
    pen.arrow((490, 144), (490, 170), (70, 170), (70, 144))
    pen.box(198, 157, 164, 26, "panel", 8)
    pen.text(280, 170, "until the image is full", "soft", 13.5)
    return pen


def jacobi() -> Pen:
    """The same noise in every pass, until nothing changes any more."""
    pen = Pen(
        258, "Three passes of Jacobi decoding: with the same noise in every pass, more and more tokens stay the same"
    )
    pen.label(24, "fixed noise")
    for j in range(6):
        x = X + 62 * j
        pen.path(f"M{x} 36 L{x} 236", "grid dash")
        pen.text(x, 24, "e" + "₁₂₃₄₅₆"[j], "is-draft", 15)
    rows = [("first draft", "AXXXXX", 1), ("pass 1", "AROTEN", 2), ("pass 2", "AROSES", 4), ("pass 3", "AROSES", 6)]
    for i, (name, word, final) in enumerate(rows):
        y = 64 + 56 * i
        pen.label(y, name)
        pen.row(X, y, [(letter, "final" if j < final else "draft") for j, letter in enumerate(word)], 62)
    return pen


def sjd() -> Pen:
    """Drafts that are verified one after the other, up to the first rejection."""
    pen = Pen(392, "Speculative Jacobi decoding: drafts are kept with probability p over q up to the first rejection")
    _window(pen, "drafts x ~ q", "cdefg", "11000", "first no ends it")
    pen.label(164, "next pass")
    after = [("a", "final"), ("b", "final"), ("c", "final"), ("d", "final"), ("z", "final")]
    pen.row(X, 164, [*after, *((letter, "draft") for letter in "uvw")])
    pen.text(X + 4 * STEP, 194, "(p − q)₊", "soft", 13)
    pen.text(X + 6 * STEP, 194, "drawn anew", "soft", 13)
    _overlap(pen, 228)
    return pen


def coupling() -> Pen:
    """Drafts behind the first rejection that stay as often as p and q allow."""
    pen = Pen(254, "Maximal coupling: every draft is tested, and those behind the first rejection that pass stay")
    _window(pen, "drafts x ~ q", "cdefg", "10110", "all are tested")
    pen.label(164, "next pass")
    pen.row(X, 164, [("a", "final"), ("b", "final"), ("c", "final"), ("y", "final")])
    pen.row(X + 4 * STEP, 164, [("e", "kept"), ("f", "kept"), ("z", "draft"), ("w", "draft")])
    pen.text(X + 4.5 * STEP, 193, "stay", "is-kept", 13)
    pen.label(228, "SJD instead")
    pen.row(X, 228, [("a", "final"), ("b", "final"), ("c", "final"), ("y", "final"), *((s, "draft") for s in "utvw")])
    return pen


def sjdpp() -> Pen:
    """A threshold that decides which drafts stay."""
    pen = Pen(236, "SJD++: behind the first rejection, drafts whose ratio p over q exceeds a threshold stay")
    ratios = [1.2, 0.15, 0.9, 0.5, 0.08, 1.5, 0.3, 0.05]
    pen.label(104, "p(x) / q(x)")
    for i, ratio in enumerate(ratios):
        x, stays = X + i * 50, ratio > 0.22
        pen.box(x - 12, 128 - 62 * ratio, 24, 62 * ratio, "shared" if stays else "rest", 2)
        pen.token(x, 154, "cdefghij"[i], "kept" if stays else "wrong")
        pen.token(x, 208, "cdefghij"[i] if stays else "uvwxyzst"[i], "kept" if stays else "draft")
    pen.line((X - 26, 128 - 62 * 0.22), (X + 376, 128 - 62 * 0.22), kind="wire dash")
    pen.text(X + 376, 128 - 62 * 0.22 - 12, "threshold", "soft", 13, "end")
    pen.label(154, "drafts")
    pen.label(208, "next pass")
    return pen


def block() -> Pen:
    """One decision about the whole prefix."""
    pen = Pen(
        262, "Block verification: the longest prefix that passes its test is accepted, even if a shorter one fails"
    )
    ratios = [0.6, 2.4, 0.85, 1.6, 0.35]
    agreed, b = [], 1.0
    for ratio in ratios:
        b = min(1.0, b * ratio)
        agreed.append(b)
    step, base = 74, 108
    pen.label(70, "bᵢ")
    pen.text(8, 92, "agreed on so far", "soft", 12, "start")
    for i, height in enumerate(agreed):
        x = X + 16 + i * step
        pen.box(x - 20, base - 78 * height, 40, 78 * height, "shared", 3)
        pen.text(x, base - 78 * height - 10, f"{height:.2g}", "soft", 13)
        pen.token(x, 132, "cdefg"[i], "draft")
        pen.text(x + step / 2, 132, f"×{ratios[i + 1]:g}" if i < 4 else "", "soft", 12.5)
    for y, name, stands in ((180, "one by one", "0----"), (226, "as a block", "01110")):
        pen.label(y, name)
        for i, good in enumerate(stands):
            x = X + 16 + i * step
            if good != "-":
                pen.mark(x, y, good == "1")
            else:
                pen.text(x, y, "·", "soft", 18)
    pen.line((X - 16, 250), (X + 16 + 3 * step + 24, 250), kind="p-line")
    pen.text(X + 16 + 3 * step + 34, 250, "kept", "is-final", 14, "start")
    return pen


def tree() -> Pen:
    """Several candidates for the next positions, and a chain behind them."""
    pen = Pen(
        286, "SJD-PAC: three candidates for each of the next two positions, and a chain of drafts behind the first"
    )
    names = ("last token", "3 candidates", "3 candidates", "chain of drafts", "", "")
    column = [44, 150, 268, 366, 430, 494]
    for x, name in zip(column, names, strict=True):
        pen.text(x if name != "chain of drafts" else 430, 16, name, "soft", 13.5)
    first = [70, 152, 234]
    leaves = [
        [(70, 46), (70, 72), (70, 98)],
        [(152, 126), (152, 152), (152, 178)],
        [(234, 206), (234, 232), (234, 258)],
    ]
    taken = (1, 2)  # the second candidate, then its third
    for k, y in enumerate(first):
        pen.line((column[0], 152), (column[1], y), kind="p-line" if k == taken[0] else "grid")
        for j, (_, leaf) in enumerate(leaves[k]):
            pen.line((column[1], y), (column[2], leaf), kind="p-line" if (k, j) == taken else "grid")
    pen.line((column[2], 46), (column[5], 46), kind="grid")
    pen.token(column[0], 152, "b", "final")
    for k, y in enumerate(first):
        pen.token(column[1], y, "cuv"[k], "kept" if k == taken[0] else "wrong" if k < taken[0] else "draft")
        for j, (_, leaf) in enumerate(leaves[k]):
            kind = "kept" if (k, j) == taken else "wrong" if k == taken[0] else "draft"
            pen.token(column[2], leaf, "dxy"[j], kind, 23)
    for j, x in enumerate(column[3:]):
        pen.token(x, 46, "efg"[j], "draft", 28)
    pen.text(296, 178, "c is rejected, u accepted;", "soft", 14, "start")
    pen.text(296, 197, "behind u, y is accepted:", "soft", 14, "start")
    pen.text(296, 216, "2 tokens, and one more", "soft", 14, "start")
    pen.text(296, 235, "from p behind y", "soft", 14, "start")
    return pen


def ngrams() -> Pen:
    """An answer that was given beside the same neighbours, here or elsewhere in the drawing."""
    pen = Pen(250, "N-grams: a draft is what was answered before beside the same left and upper neighbours")
    x, step = 40, 56
    rows = (("aabca", "fffff"), ("aadea", "ffkff"), ("aabca", "fffpp"), ("aadea", "ffkpp"))
    kinds = {"f": "final", "k": "kept", "p": "draft"}
    for i, (letters, marks) in enumerate(rows):
        for j, (letter, mark) in enumerate(zip(letters, marks, strict=True)):
            pen.token(x + j * step, 28 + i * step, letter, kinds[mark])
    for i, line in enumerate(
        (
            "right of a and below b",
            "the model once drew d,",
            "so d is drafted here;",
            "then e beside d and below c,",
            "and so on along the window:",
            "what the pass then says",
            "is remembered in turn",
        )
    ):
        pen.text(x + 5 * step, 40 + 28 * i, line, "soft", 14, "start")
    return pen


def branches() -> Pen:
    """Candidates beside the first drafts of a window, one of which takes the place of a wrong draft."""
    pen = Pen(
        236,
        "Branches: three other candidates under each of the first drafts; the second draft is wrong, a branch right",
    )
    x, step = 40, 56
    pen.row(x, 28, [("a", "final"), ("b", "kept"), ("c", "wrong"), *((letter, "draft") for letter in "def")], step)
    for i, letters in enumerate(("ghi", "jkl"), 1):
        for j, letter in enumerate(letters, 1):
            pen.token(x + i * step, 28 + j * step, letter, "kept" if letter == "k" else "draft")
    pen.path("M113 28 C125 28 123 140 133 140", "wire")
    pen.arrow((169, 140), (191, 140))
    pen.token(x + 3 * step, 140, "m", "kept")
    lines = (
        "the draft c is wrong, but its",
        "branch k is the true token:",
        "b, k and the answer m",
        "behind k are committed",
    )
    for i, line in enumerate(lines):
        pen.text(x + 4.7 * step, 88 + 28 * i, line, "soft", 14, "start")
    return pen


def _window(pen: Pen, what: str, drafts: str, stands: str, rule: str) -> None:
    """Two final tokens and drafts; the pass; the test of each draft, up to the first rejection or of all."""
    pen.label(26, what)
    pen.row(X, 26, [("a", "final"), ("b", "final"), *((letter, "draft") for letter in drafts)])
    pen.forward(70, X - 20, WIDTH - X)
    pen.label(116, "u < p(x) / q(x)")
    broken = rule.startswith("first")
    for i, good in enumerate(stands):
        x = X + (2 + i) * STEP
        if broken and "0" in stands[:i]:
            pen.text(x, 116, "·", "soft", 20)
        else:
            pen.mark(x, 116, good == "1")
    pen.text(X + (1.6 + len(drafts)) * STEP, 116, rule, "soft", 13, "start")


def _overlap(pen: Pen, top: float) -> None:
    """What p and q share, and what each has for itself."""
    q = [0.1, 0.35, 0.95, 0.7, 0.4, 0.2, 0.12, 0.05]
    p = [0.05, 0.12, 0.3, 0.55, 0.9, 0.65, 0.35, 0.12]
    base, step = top + 132, 40
    for i, (a, b) in enumerate(zip(p, q, strict=True)):
        x, low, high = 20 + i * step, min(a, b) * 110, max(a, b) * 110
        pen.box(x, base - high, step - 8, high - low, "p" if a > b else "rest", 2)
        pen.box(x, base - low, step - 8, low, "shared", 2)
    pen.line((12, base + 1), (20 + 8 * step, base + 1), kind="grid")
    pen.text(172, base + 18, "codes", "soft", 13)
    for i, (kind, name, more) in enumerate(
        (
            ("shared", "min(p, q)", "a draft that is kept"),
            ("rest", "q has too much", "a draft that falls"),
            ("p", "(p − q)₊", "what replaces it"),
        )
    ):
        y = top + 24 + 40 * i
        pen.box(356, y - 8, 16, 16, kind, 3)
        pen.text(382, y - 2, name, "", 15, "start")
        pen.text(382, y + 16, more, "soft", 13, "start")
