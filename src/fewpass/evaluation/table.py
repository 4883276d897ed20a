"""The table of decoders, and its numbers in words."""

import math
from collections.abc import Sequence

from fewpass.engine.result import law
from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import Summary


def columns(summaries: Sequence[Summary]) -> list[str]:
    """The heading of the table."""
    heading = ["decoder", "images", "passes", "tokens per pass", "seconds", "nats per token"]
    return heading + ["KID to ar"] * any(s.kid for s in summaries)


def cells(summary: Summary) -> list[str]:
    """A row of the table."""
    s = summary
    row = [s.decoder, law(s.lossless), number(s.passes.mean, 1), with_error(s.tokens_per_pass, 2)]
    row += [number(s.seconds.mean, 2), number(s.nll.mean, 3)]
    return row + [with_error(e, 4) for e in (s.kid,) if e]


def markdown(summaries: Sequence[Summary], conditions: str) -> str:
    """The table in Markdown, under a line with its conditions."""
    heading = columns(summaries)
    lines = [conditions, "", _row(heading), _row(["---", "---", *["---:"] * (len(heading) - 2)])]
    for summary in summaries:
        decoder, *others = cells(summary)
        lines.append(_row([f"`{decoder}`", *others]))
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int) -> str:
    """A number of so many decimals, `-` for none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_error(estimate: Estimate, digits: int) -> str:
    """Mean and standard error: `3.21 ± 0.05`."""
    error = f" ± {number(estimate.error, digits)}" if math.isfinite(estimate.error) else ""
    return number(estimate.mean, digits) + error


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
