"""Many clients at once, and requests generated from the OpenAPI document."""

import asyncio
import os

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
for needed in ("openai", "httpx", "psutil"):
    pytest.importorskip(needed, reason="what tests the server is not installed: pip install 'fewpass[serve-test]'")
schemathesis = pytest.importorskip(
    "schemathesis", reason="what tests the server is not installed: pip install 'fewpass[serve-test]'"
)

import hypothesis  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

import fewpass  # noqa: E402
from bench.load import GROWTH, PROMPT, Clients  # noqa: E402
from fewpass.serve.limits import Limits  # noqa: E402
from tests.serving import Running  # noqa: E402

pytestmark = pytest.mark.serve
EXAMPLES = int(os.environ.get("FEWPASS_FUZZ_EXAMPLES", "30"))
SECONDS = float(os.environ.get("FEWPASS_LOAD_SECONDS", "30"))


@pytest.fixture(scope="module")
def server(folder):
    with Running(fewpass.load(folder, "cpu", "float64"), Limits(batch_size=8, max_queue=24)) as running:
        yield running


def test_fifty_clients_get_the_right_images(server):
    report = asyncio.run(Clients(server.url, "red stars").run(50, SECONDS, os.getpid()))
    assert report.wrong == []
    for kind in ("plain: right", "several: right", "stream: right", "slow: right", "vanish: gone", "garbage: refused"):
        assert report.answers[kind] > 0, report.answers
    assert report.growth < GROWTH


def test_the_load_script_can_tell_all_its_images_of_the_bundled_model_apart(emoji):
    async def draw_alone(url):
        clients = Clients(url, PROMPT)
        async with clients.http:
            await clients.draw_alone()

    with Running(emoji, Limits()) as bundled:
        asyncio.run(draw_alone(bundled.url))


# What the document allows and forbids.


@pytest.fixture(scope="module")
def document(server):
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


OPERATIONS = {
    ("/v1/images/generations", "POST", GenerationMode.POSITIVE): EXAMPLES,
    ("/v1/images/generations", "POST", GenerationMode.NEGATIVE): EXAMPLES,
    ("/v1/models", "GET", GenerationMode.POSITIVE): 1,
    ("/v1/models/{model}", "GET", GenerationMode.POSITIVE): 5,
    ("/healthz", "GET", GenerationMode.POSITIVE): 1,
    ("/readyz", "GET", GenerationMode.POSITIVE): 1,
    ("/health", "GET", GenerationMode.POSITIVE): 1,
    ("/metrics", "GET", GenerationMode.POSITIVE): 1,
}


def test_operations_cover_the_openapi_document(document):
    known = {(o.ok().path, o.ok().method.upper()) for o in document.get_all_operations()}
    assert known == {(path, method) for path, method, _ in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o[1]} {o[0]} {o[2]}")
def test_answers_match_the_openapi_document(document, operation):
    path, method, mode = operation

    @hypothesis.settings(
        max_examples=OPERATIONS[operation],
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=document[path][method].as_strategy(mode))
    def check(case):
        # A prompt may be as the document says, and still be one that this model cannot read.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()
