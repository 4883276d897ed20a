"""`fewpass serve --ray` on one machine with two replicas, one of which is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
for needed in ("openai", "httpx", "psutil"):
    pytest.importorskip(needed, reason="what tests the server is not installed: pip install 'fewpass[serve-test]'")
for needed in ("ray", "grpc", "aiohttp"):
    pytest.importorskip(needed, reason="Ray Serve is not installed: pip install 'fewpass[serve-ray]'")

import httpx  # noqa: E402
import openai  # noqa: E402
import psutil  # noqa: E402
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from tests.serving import PATIENCE, picture, until  # noqa: E402

pytestmark = [pytest.mark.ray, pytest.mark.skipif(os.name != "posix", reason="stops processes by signals")]
PROMPT = "red stars"


class Served:
    """The command in a process of its own. Its cluster has two cores, whatever the machine has."""

    def __init__(self, folder):
        command = [sys.executable, "-m", "fewpass", "serve", "--ray", "local", "--port", "0"]
        command += ["--replicas", "2", "--cores", "1"]
        limits = ["--batch-size", "4", "--max-queue", "60", "--max-prompt-length", "200"]
        limits += ["--name", "mine", "--dtype", "float64"]
        own = {"FEWPASS_API_KEY": "sesame", "RAY_OVERRIDE_RESOURCES": '{"CPU": 2}', "RAY_USAGE_STATS_ENABLED": "0"}
        self.process = subprocess.Popen(
            [*command, *limits, "--model", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | own,
        )
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.fullmatch(r"mine at (http://127.0.0.1:\d+)/v1 by 2 replicas\n", line):
                self.url = found[1]
                break
        else:
            raise AssertionError("".join(said))
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="sesame", max_retries=5)

    def post(self, **options) -> httpx.Response:
        headers = {"authorization": "Bearer sesame", "content-type": "application/json"} | options.pop("headers", {})
        return httpx.post(f"{self.url}/v1/images/generations", headers=headers, timeout=PATIENCE, **options)

    def samples(self, name: str) -> dict[str, float]:
        """A number of each replica."""
        families = text_string_to_metric_families(httpx.get(f"{self.url}/metrics", timeout=PATIENCE).text)
        return {s.labels["replica"]: s.value for f in families for s in f.samples if s.name == name}

    def replicas(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "ServeReplica" in " ".join(child.cmdline())]

    def same(self, image: str, alone) -> bool:
        return picture(image).tobytes() == alone.tobytes()


@pytest.fixture(scope="module")
def served(folder):
    running = Served(folder)
    yield running
    with running.process:
        running.process.kill()


@pytest.fixture(scope="module")
def due(pipeline):
    """What each seed gives without any server."""
    return pipeline(PROMPT, seed=0, count=24, decoder="ar").images


def test_ray_server_answers_like_a_single_server(served, due):
    answer = served.client.images.generate(prompt=PROMPT, n=2, extra_body={"seed": 3, "decoder": "ar"})
    assert [served.same(d.b64_json, due[d.seed]) for d in answer.data] == [True, True]
    events = list(
        served.client.images.generate(
            prompt=PROMPT, stream=True, partial_images=2, extra_body={"seed": 5, "decoder": "ar"}
        )
    )
    assert [e.type.split("_")[-1] for e in events] == ["image"] * 2 + ["generation.completed"]
    assert served.same(events[-1].b64_json, due[5])
    assert [m.id for m in served.client.models.list()] == ["mine"]
    assert httpx.get(f"{served.url}/readyz").status_code == 200


def test_ray_server_refuses_invalid_requests(served):
    for content, headers, status, code in (
        (b"{", {}, 400, "invalid_json"),
        (json.dumps({"prompt": PROMPT, "n": 0}).encode(), {}, 400, "invalid_value"),
        (b"x" * (2 << 20), {}, 413, "body_too_large"),
        (json.dumps({"prompt": PROMPT}).encode(), {"authorization": "Bearer sesam"}, 401, "invalid_api_key"),
    ):
        answer = served.post(content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert httpx.get(f"{served.url}/nothing").json()["error"]["type"] == "invalid_request_error"


def test_killed_replica_loses_no_request_of_a_client_that_retries(served, due):
    until(lambda: len(served.samples("fewpass_tokens_total")) == 2)
    one, other = served.replicas()

    def ask(seed):
        return served.client.images.generate(prompt=PROMPT, n=2, extra_body={"seed": seed, "decoder": "ar"})

    with ThreadPoolExecutor(12) as clients:
        answers = [clients.submit(ask, seed) for seed in range(0, 24, 2)]
        until(lambda: sum(answer.done() for answer in answers) >= 2)
        one.suspend()
        before = -1
        while before != (before := sum(answer.done() for answer in answers)):
            time.sleep(2)
        assert 2 <= before < len(answers)  # the others are in the hands of the one that is suspended
        one.kill()
        for answer in answers:
            for data in answer.result(PATIENCE).data:
                assert served.same(data.b64_json, due[data.seed])
    assert other.is_running()
    until(lambda: sum(served.samples("fewpass_drawing_images").values()) == 0)


def test_sigterm_stops_all_processes(served):
    left = psutil.Process(served.process.pid).children(recursive=True)
    served.process.send_signal(signal.SIGTERM)
    rest = served.process.stderr.read()
    assert served.process.wait(PATIENCE) == 0
    assert "Traceback" not in rest
    assert psutil.wait_procs(left, PATIENCE)[1] == []
