"""Prometheus metrics."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from fewpass.engine.trace import Trace

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 600)
PASSES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
TOKENS_PER_PASS = (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 32)


class Metrics:
    """The metrics of one server, in a registry of its own."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = self._add(Counter, "requests", "Requests answered.", labelnames=["endpoint", "status"])
        self.request_seconds = self._seconds("request_seconds", "Seconds from a request to the end of its answer.")
        self.images = self._add(Counter, "images", "Images finished, failed or dropped.", labelnames=["outcome"])
        self.passes = self._add(Counter, "forward_passes", "Forward passes of the batch.")
        self.tokens = self._add(Counter, "tokens", "Image tokens of finished images.")
        passes, tokens = "Forward passes of a finished image.", "Image tokens per forward pass of a finished image."
        self.image_passes = self._add(Histogram, "image_passes", passes, buckets=PASSES)
        self.tokens_per_pass = self._add(Histogram, "tokens_per_pass", tokens, buckets=TOKENS_PER_PASS)
        self.queue_seconds = self._seconds("queue_seconds", "Seconds that a finished image waited.")
        self.image_seconds = self._seconds("image_seconds", "Seconds that a finished image was in the batch.")

    def observe(self, waiting: Callable[[], int], drawing: Callable[[], int]) -> None:
        """Add gauges of the numbers of images that wait and that are being drawn."""
        self._add(Gauge, "queue_images", "Images that wait.").set_function(waiting)
        self._add(Gauge, "drawing_images", "Images in the batch.").set_function(drawing)

    def finished(self, trace: Trace, seconds: float) -> None:
        """Count an image that finished `seconds` after its request was submitted."""
        self.images.labels("finished").inc()
        self.tokens.inc(trace.committed.shape[1])
        self.image_passes.observe(int(trace.passes[0]))
        self.tokens_per_pass.observe(float(trace.tokens_per_pass[0]))
        self.image_seconds.observe(trace.seconds)
        self.queue_seconds.observe(max(seconds - trace.seconds, 0))

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _seconds(self, name: str, text: str) -> Any:
        return self._add(Histogram, name, text, buckets=SECONDS)

    def _add(self, kind: Any, name: str, text: str, **options: Any) -> Any:
        return kind(f"fewpass_{name}", text, registry=self._registry, **options)


def merge(texts: Mapping[str, bytes], label: str) -> bytes:
    """Merge the metrics of several servers; `label` holds their names."""
    families: dict[str, Metric] = {}
    for name, text in texts.items():
        for family in text_string_to_metric_families(text.decode()):
            ours = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            ours.samples += [s._replace(labels={**s.labels, label: name}) for s in family.samples]
    return generate_latest(SimpleNamespace(collect=families.values))
