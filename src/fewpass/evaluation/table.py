"""The table of decoders: for a README, and for the report."""

import math
from collections.abc import Sequence

from fewpass.evaluation.estimate import Estimate
from fewpass.evaluation.summary import Summary

LAW = {True: "lossless", False: "lossy", None: "nobody knows"}


def columns(summaries: Sequence[Summary]) -> list[str]:
    scored = any(summary.score for summary in summaries)
    return ["decoder", "images", "passes", "tokens per pass", "seconds", *(["scene score"] if scored else [])]


def cells(summary: Summary) -> list[str]:
    s = summary
    costs = [number(s.passes.mean, 1), number(s.tokens_per_pass.mean, 2), number(s.seconds.mean, 2)]
    return [s.decoder, LAW[s.lossless], *costs, *([percent(s.score["all"])] if s.score else [])]


def markdown(summaries: Sequence[Summary], conditions: str) -> str:
    """A Markdown table under a line that says how it was measured."""
    heading = columns(summaries)
    lines = [conditions, "", _row(heading), _row(["---", "---", *["---:"] * (len(heading) - 2)])]
    for summary in summaries:
        decoder, *others = cells(summary)
        lines.append(_row([f"`{decoder}`", *others]))
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def interval(estimate: Estimate | None, digits: int, scale: float = 1.0) -> str:
    """Mean, and how far the interval reaches: `3.21 (3.10 to 3.32)`."""
    if estimate is None:
        return "-"
    low, high = number(estimate.low * scale, digits), number(estimate.high * scale, digits)
    return number(estimate.mean * scale, digits) + (f" ({low} to {high})" if math.isfinite(estimate.low) else "")


def percent(estimate: Estimate | None) -> str:
    return "-" if estimate is None or not math.isfinite(estimate.mean) else interval(estimate, 1, 100) + " %"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
