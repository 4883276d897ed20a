"""Diagrams of the decoders that know that an image has rows."""

from pen import Pen

CELL = 32
COLS = 10


def zipar() -> Pen:
    """A staircase of rows, each drawn token by token."""
    pen = Pen(
        236, "ZipAR: each row starts when the row above has a window of tokens; all open rows grow by one token a pass"
    )
    done = [10, 8, 5, 2, 0]
    for row, n in enumerate(done):
        for col in range(COLS):
            kind = "final" if col < n else "kept" if col == n and row < 4 else "empty"
            _cell(pen, row, col, kind)
    y = 40 + 4 * CELL + 22
    pen.line((34, y), (34, y + 6), (34 + 3 * CELL - 8, y + 6), (34 + 3 * CELL - 8, y), kind="wire")
    pen.text(34 + 1.5 * CELL, y + 20, "window = 3", "soft", 14)
    _legend(pen, [("final", "final"), ("kept", "drawn in this pass"), ("empty", "not there yet")])
    return pen


def pjd() -> Pen:
    """Rows with windows of their own."""
    pen = Pen(236, "PJD: every open row has a window of drafts of its own, never ahead of the row above")
    done, drafts = [10, 7, 3, 0, 0], [0, 3, 4, 3, 0]
    for row, (n, ahead) in enumerate(zip(done, drafts, strict=True)):
        for col in range(COLS):
            kind = "final" if col < n else "draft" if col < n + ahead else "empty"
            _cell(pen, row, col, kind)
    y = 40 + 4 * CELL + 22
    pen.line((34, y), (34, y + 6), (34 + 3 * CELL - 8, y + 6), (34 + 3 * CELL - 8, y), kind="wire")
    pen.text(34 + 1.5 * CELL, y + 20, "context = 3", "soft", 14)
    _legend(pen, [("final", "final"), ("draft", "drafts, as in SJD"), ("empty", "not there yet")])
    return pen


def _cell(pen: Pen, row: int, col: int, kind: str) -> None:
    pen.token(34 + CELL * col + CELL / 2 - 4, 30 + CELL * row, "", kind, CELL - 6)


def _legend(pen: Pen, entries: list[tuple[str, str]]) -> None:
    for i, (kind, words) in enumerate(entries):
        pen.token(388, 60 + 34 * i, "", kind, 20)
        pen.text(406, 60 + 34 * i, words, "soft", 13, "start")
