"""Statistics of a benchmark: medians, and ratios within one run."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from fewpass.bench import baseline, memory
from fewpass.bench.run import Benchmark
from fewpass.bench.timing import Drawn, Pass
from fewpass.bench.traces import Counts

REFERENCE = "ar"


def decoder_rows(bench: Benchmark) -> list[dict[str, Any]]:
    """A row for each decoder; a ratio is the median of the ratios between two drawings of the same image."""
    lossless = {str(d): d.lossless for d in bench.plan.decoders}
    rows = []
    for name, drawn in bench.images.items():
        rows.append(
            {
                "decoder": name,
                "lossless": lossless.get(name),
                "passes": median(d.passes[0] for d in drawn),
                "tokens_per_pass": median(bench.task.tokens / d.passes[0] for d in drawn),
                "seconds": median(d.seconds for d in drawn),
                "prefill_seconds": _median([d.prefill for d in drawn]),
                "pass_seconds": median(d.decode / max(1, d.passes[0] - 1) for d in drawn),
                "detokenise_seconds": _median([d.detokenise for d in drawn]),
                "peak_bytes": max((d.peak for d in drawn if d.peak is not None), default=None),
                "fewer_passes_than_ar": _ratio(bench.images[REFERENCE], drawn, lambda d: d.passes[0]),
                "faster_than_ar": _ratio(bench.images[REFERENCE], drawn, lambda d: d.seconds),
                "faster_than_transformers": _ratio(bench.images.get(baseline.NAME), drawn, lambda d: d.seconds),
                "drawings": [{"passes": d.passes[0], "seconds": d.seconds} for d in drawn],
            }
        )
    return rows


def window_rows(bench: Benchmark) -> list[dict[str, Any]]:
    """A row for each decoder and window: seconds of a pass and of its parts."""
    return [
        {"decoder": name, "window": window, **_parts(passes)}
        for (name, window), passes in bench.windows.items()
        if passes
    ]


def _parts(passes: Sequence[Pass]) -> dict[str, Any]:
    split = [p for p in passes if p.body is not None]
    share = [p.elsewhere / p.seconds for p in split if p.elsewhere is not None and p.seconds]
    return {
        "pass_seconds": _median([p.seconds for p in passes if p.body is None]),
        "body_seconds": _median([p.body for p in split]),
        "head_seconds": _median([p.head for p in split]),
        "elsewhere_seconds": _median([p.elsewhere for p in split]),
        "outside_the_model": _median(share),
        "passes_timed": len(passes),
    }


def batch_rows(bench: Benchmark) -> list[dict[str, Any]]:
    """A row for each decoder and batch size."""
    alone = {name: median(d.seconds for d in drawn) for (name, batch), drawn in bench.batches.items() if batch == 1}
    rows = []
    for (name, batch), drawn in bench.batches.items():
        seconds = median(d.seconds for d in drawn)
        rows.append(
            {
                "decoder": name,
                "batch": batch,
                "images_per_second": batch / seconds,
                "times_one_alone": batch * alone[name] / seconds if name in alone else None,
                "peak_bytes": max((d.peak for d in drawn if d.peak is not None), default=None),
            }
        )
    return rows


def memory_record(bench: Benchmark) -> dict[str, Any]:
    """Bytes of the weights and of one image's cache and distributions, and the peak of the whole run."""
    model = bench.task.model
    on_gpu = model.device.type == "cuda"
    peaks = [d.peak for runs in (bench.images, bench.batches) for all_ in runs.values() for d in all_ if d.peak]
    return {
        "weights_bytes": memory.weights(model.model),
        "one_image": [{"decoder": name, **found} for name, found in bench.memory.items()],
        "peak_bytes": max(peaks, default=None) if on_gpu else memory.process_peak(),
        "peak_is": (
            "the most that was allocated on the GPU (torch.cuda.max_memory_allocated)"
            if on_gpu
            else "the most that the whole process had resident (ru_maxrss), weights and Python included"
        ),
    }


def trace_records(traces: Mapping[str, Sequence[Counts]]) -> list[dict[str, Any]]:
    """Traces in the form that `--trace` reads."""
    return [
        {
            "decoder": name,
            "trace": {"committed": [n for n, count in enumerate(counts, start=1) for _ in range(count)]},
        }
        for name, several in traces.items()
        for counts in several
    ]


def drawn_traces(bench: Benchmark) -> list[dict[str, Any]]:
    """Traces of the images drawn, in the form that `--trace` reads."""
    return [
        {"decoder": name, "trace": {"committed": list(d.committed[0])}}
        for name, drawn in bench.images.items()
        for d in drawn[: len(bench.task.prompts)]
        if d.committed
    ]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _ratio(than: Sequence[Drawn] | None, drawn: Sequence[Drawn], cost: Callable[[Drawn], float]) -> float | None:
    if not than:
        return None
    return median(cost(other) / cost(d) for other, d in zip(than, drawn, strict=True))
