"""The table of decoders, and its numbers in words."""

import math
from collections.abc import Sequence

from fewpass.engine.result import law
from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import Summary


def table(summaries: Sequence[Summary]) -> tuple[list[str], list[list[str]]]:
    """The heading, and a row for each decoder."""
    heading, rows = ["decoder", "images", "passes", "tokens per pass", "seconds", "nats per token"], []
    for s in summaries:
        row = [s.decoder, law(s.lossless), number(s.passes.mean, 1), with_error(s.tokens_per_pass, 2)]
        row += [number(s.seconds.mean, 2), number(s.nll.mean, 3)]
        rows.append(row + [with_error(e, 4) for e in (s.kid,) if e])
    return heading + ["KID to ar"] * any(s.kid for s in summaries), rows


def markdown(summaries: Sequence[Summary], conditions: str) -> str:
    """The table in Markdown, under a line with its conditions."""
    heading, rows = table(summaries)
    lines = [heading, ["---", "---", *["---:"] * (len(heading) - 2)], *([f"`{row[0]}`", *row[1:]] for row in rows)]
    return "\n".join([conditions, "", *(f"| {' | '.join(cells)} |" for cells in lines)]) + "\n"


def number(value: float | None, digits: int) -> str:
    """A number of so many decimals, `-` for none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_error(estimate: Estimate, digits: int) -> str:
    """Mean and standard error: `3.21 ± 0.05`."""
    error = f" ± {number(estimate.error, digits)}" if math.isfinite(estimate.error) else ""
    return number(estimate.mean, digits) + error
