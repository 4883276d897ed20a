"""Metrics of several servers in one text."""

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")

from prometheus_client.parser import text_string_to_metric_families

from fewpass.serve.metrics import Metrics, merge


def test_merged_metrics_label_replicas():
    texts = {}
    for name, times in {"a": 1, "b": 2}.items():
        metrics = Metrics()
        metrics.observe(lambda: 3, lambda: 4)
        for _ in range(times):
            metrics.requests.labels("/v1", "200").inc()
            metrics.request_seconds.observe(0.3)
        texts[name] = metrics.text()
    families = list(text_string_to_metric_families(merge(texts, "replica").decode()))
    assert len({family.name for family in families}) == len(families)
    found = {(s.name, s.labels["replica"]): s.value for family in families for s in family.samples}
    assert (found["fewpass_requests_total", "a"], found["fewpass_requests_total", "b"]) == (1, 2)
    assert (found["fewpass_request_seconds_count", "b"], found["fewpass_queue_images", "a"]) == (2, 3)
    assert {s.labels["endpoint"] for f in families for s in f.samples if s.name == "fewpass_requests_total"} == {"/v1"}
