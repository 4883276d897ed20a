"""Gateway and metrics of replicas, without Ray."""

import asyncio
import json

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")

from prometheus_client.parser import text_string_to_metric_families

from fewpass.serve.gateway import OPTIONS, TRIES, Gateway, environment, middlewares
from fewpass.serve.limits import Limits
from fewpass.serve.metrics import Metrics, merge
from fewpass.serve.middleware import AdmissionMiddleware

JSON, EVENTS = [(b"content-type", b"application/json")], [(b"content-type", b"text/event-stream")]
TEXT = [(b"content-type", b"text/plain")]


def start(status, headers):
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(content, more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


def visited(*answers, disconnects=False):
    """What a client gets who asks where replicas say this, one after the other; and the bodies that they were given."""
    given, sent = [], []
    coming = [{"type": "http.request", "body": b"asked", "more_body": False}]
    if disconnects:
        coming.append({"type": "http.disconnect"})
    left = list(answers)

    async def proxy(scope, receive, send):
        given.append((await receive())["body"])
        scope["path"] += "changed"
        if disconnects:
            await receive()
        for message in left.pop(0):
            await send(message)

    async def receive():
        return coming.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(Gateway(proxy)({"type": "http", "path": "/", "headers": [], "method": "POST"}, receive, send))
    assert sum(message["type"] == "http.response.start" for message in sent) <= 1
    status = next((message["status"] for message in sent if message["type"] == "http.response.start"), None)
    return status, b"".join(message.get("body", b"") for message in sent), given


def test_gateway_passes_answers_through():
    assert visited([start(200, JSON), body(b"{}")]) == (200, b"{}", [b"asked"])
    assert visited([start(400, JSON), body(b"{}")]) == (400, b"{}", [b"asked"])


def test_gateway_retries_a_request_of_a_lost_replica():
    assert visited([], [start(200, JSON), body(b"{}")]) == (200, b"{}", [b"asked", b"asked"])


def test_gateway_limits_retries():
    status, answer, given = visited(*[[]] * (TRIES + 1))
    assert (status, json.loads(answer)["error"]["code"], len(given)) == (503, "replica_lost", TRIES)


def test_gateway_converts_errors_of_the_proxy():
    status, answer, given = visited([start(404, TEXT), body(b"Path '/' not found")])
    assert (status, json.loads(answer)["error"]["code"], len(given)) == (503, "no_replica", 1)


def test_interrupted_stream_ends_with_an_error_event():
    status, answer, given = visited([start(200, EVENTS), body(b"data: 1\n\n", True)])
    assert (status, len(given)) == (200, 1)
    assert answer.startswith(b"data: 1\n\nevent: error\ndata: ")
    assert json.loads(answer.splitlines()[-2][6:])["error"]["code"] == "replica_lost"


def test_interrupted_json_answer_is_not_retried():
    assert visited([start(200, JSON), body(b"{", True)]) == (200, b"{", [b"asked"])


def test_gateway_does_not_retry_for_a_disconnected_client():
    assert visited([], [], disconnects=True) == (None, b"", [b"asked"])


def test_proxy_middlewares_have_the_limits_and_origins_of_the_server(monkeypatch):
    limits = Limits(body=99, per_address=3, sizes="nearest")
    for name, value in environment(limits, ["https://page.example"]).items():
        monkeypatch.setenv(name, value)
    door, guard, browsers = middlewares()
    assert (door.cls, guard.cls, guard.kwargs) == (Gateway, AdmissionMiddleware, {"key": None, "limits": limits})
    assert browsers.kwargs["allow_origins"] == ["https://page.example"]
    monkeypatch.setenv(OPTIONS, environment(limits, [])[OPTIONS])
    assert [middleware.cls for middleware in middlewares()] == [Gateway, AdmissionMiddleware]


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
