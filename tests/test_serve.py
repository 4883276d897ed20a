"""The server with OpenAI's own client, and with invalid and hostile requests."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
httpx = pytest.importorskip("httpx", reason="what tests the server is not installed: pip install 'fewpass[serve-test]'")
openai = pytest.importorskip(
    "openai", reason="what tests the server is not installed: pip install 'fewpass[serve-test]'"
)

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

import fewpass  # noqa: E402
from fewpass.io.png_metadata import KEY  # noqa: E402
from fewpass.pipeline import BLANK  # noqa: E402
from fewpass.serve.app import create_app  # noqa: E402
from fewpass.serve.limits import Limits  # noqa: E402
from fewpass.serve.requests import RequestParser  # noqa: E402
from tests.families import write_emu3  # noqa: E402
from tests.serving import PATIENCE, Gate, Running, picture, until  # noqa: E402
from tests.tiny import SIDE  # noqa: E402

N = SIDE**2
PROMPT = "red stars"


@pytest.fixture(scope="module")
def served(folder):
    """The pipeline that a server has for itself."""
    return fewpass.load(folder, "cpu", "float64")


@pytest.fixture(scope="module")
def server(served):
    with Running(served, Limits(batch_size=3, body=20_000, max_prompt_length=200)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return server.client()


def sample(server, name, **labels):
    """A number of /metrics."""
    families = text_string_to_metric_families(server.get("/metrics").text)
    found = [s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()]
    return sum(found)


# Images.


def test_images_equal_those_of_a_call(client, pipeline):
    answer = client.images.generate(prompt=PROMPT, n=3, extra_body={"seed": 5, "decoder": "jacobi_ngram"})
    alone = pipeline(PROMPT, seed=5, count=3, decoder="jacobi_ngram")
    assert [picture(d.b64_json).tobytes() for d in answer.data] == [image.tobytes() for image in alone.images]
    assert [d.seed for d in answer.data] == [5, 6, 7]
    assert [d.passes for d in answer.data] == alone.trace.passes.tolist()
    assert (answer.size, answer.output_format, answer.background) == ("8x8", "png", "opaque")
    read = len(pipeline.model.prompt_ids(PROMPT, pipeline.model.grid(None)))
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3 * read, 3 * N)
    assert answer.usage.total_tokens == 3 * (read + N)


def test_png_holds_the_settings_of_its_image(client, pipeline):
    answer = client.images.generate(prompt=PROMPT)  # a seed of the server's choice
    image = picture(answer.data[0].b64_json)
    settings = json.loads(image.info[KEY])
    assert settings["model"] == "tiny"  # where the folder is, is not for clients
    assert settings["seed"] == answer.data[0].seed
    assert pipeline(PROMPT, seed=settings["seed"]).images[0].tobytes() == image.tobytes()


SETTINGS = [
    {"seed": 1},
    {"seed": 2, "guidance": 1},
    {"seed": 3, "guidance": 2.5, "negative_prompt": "one"},
    {"seed": 4, "decoder": "jacobi(window=4)"},
    {"seed": 5, "decoder": "sjd", "window": 3},
    {"seed": 6, "temperature": 0},
    {"seed": 7, "top_k": 5, "top_p": 0.9, "temperature": 0.7},
    {"seed": 8, "decoder": "ar"},
]


def test_clients_in_one_batch_get_the_images_of_single_calls(client, pipeline):
    def ask(settings):
        return client.images.generate(prompt=PROMPT, extra_body=settings).data[0]

    with ThreadPoolExecutor(len(SETTINGS)) as clients:
        answers = list(clients.map(ask, SETTINGS))
    for settings, answer in zip(SETTINGS, answers, strict=True):
        window = settings.get("window")
        own = settings | {"decoder": f"sjd(window={window})"} if window else settings
        alone = pipeline(PROMPT, **{k: v for k, v in own.items() if k != "window"})
        assert picture(answer.b64_json).tobytes() == alone.images[0].tobytes(), settings


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_output_format_is_that_of_the_request(client, form):
    more = {} if form == "png" else {"output_compression": 50}
    answer = client.images.generate(prompt=PROMPT, output_format=form, **more)
    assert picture(answer.data[0].b64_json).format == form.upper()
    assert answer.output_format == form


# Streams.


def test_stream_previews_show_finished_rows(client, pipeline):
    events = list(
        client.images.generate(
            prompt=PROMPT, stream=True, partial_images=3, extra_body={"seed": 9, "decoder": "ar", "guidance": 2}
        )
    )
    assert [type(e).__name__ for e in events] == ["ImageGenPartialImageEvent"] * 3 + ["ImageGenCompletedEvent"]
    assert [e.type for e in events] == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    assert [e.partial_image_index for e in events[:3]] == [0, 1, 2]
    assert {e.size for e in events} == {"8x8"}
    assert (
        picture(events[-1].b64_json).tobytes() == pipeline(PROMPT, seed=9, decoder="ar", guidance=2).images[0].tobytes()
    )
    assert events[-1].usage.output_tokens == N
    for rows, event in enumerate(events[:3], start=1):
        image = picture(event.b64_json)
        grey = [all(image.getpixel((x, 2 * row)) == (BLANK,) * 3 for x in range(image.width)) for row in range(SIDE)]
        assert grey == [row >= rows for row in range(SIDE)]


def test_stream_events_name_their_image(client, pipeline):
    events = list(client.images.generate(prompt=PROMPT, n=4, stream=True, extra_body={"seed": 2}))
    assert sorted(e.image_index for e in events) == [0, 1, 2, 3]
    for event in events:
        assert event.seed == 2 + event.image_index
        assert picture(event.b64_json).tobytes() == pipeline(PROMPT, seed=event.seed).images[0].tobytes()


def test_events_have_all_fields_of_openais_types(client):
    for event in client.images.generate(prompt=PROMPT, stream=True, partial_images=1, extra_body={"decoder": "ar"}):
        required = {name for name, field in type(event).model_fields.items() if field.is_required()}
        assert required <= event.model_dump(exclude_unset=True).keys()
        type(event).model_validate(event.model_dump(), strict=True)


# Models, health, metrics.


def test_models_endpoint_lists_the_model_served(client, server):
    assert [(m.id, m.object, m.owned_by) for m in client.models.list()] == [("tiny", "model", "fewpass")]
    assert client.models.retrieve("tiny").id == "tiny"
    assert client.images.generate(prompt=PROMPT, model="tiny").data
    for ask in (lambda: client.models.retrieve("dall-e-3"), lambda: client.images.generate(prompt=PROMPT, model="d")):
        with pytest.raises(openai.NotFoundError) as error:
            ask()
        assert error.value.code == "model_not_found"


def test_health_endpoints_answer_200(server):
    assert (server.get("/healthz").status_code, server.get("/readyz").status_code) == (200, 200)


def test_metrics_count_images_tokens_and_passes(server, pipeline):
    names = ("fewpass_images_total", "fewpass_tokens_total", "fewpass_forward_passes_total")
    before = [sample(server, name) for name in names]
    answer = server.post({"prompt": PROMPT, "n": 2, "decoder": "ar"})
    assert answer.status_code == 200
    assert [sample(server, name) - b for name, b in zip(names, before, strict=True)] == [2, 2 * N, N]
    endpoint = "/v1/images/generations"
    assert sample(server, "fewpass_requests_total", endpoint=endpoint, status="200") >= 1
    assert sample(server, "fewpass_tokens_per_pass_count") == sample(server, "fewpass_images_total", outcome="finished")
    assert sample(server, "fewpass_queue_images") == sample(server, "fewpass_drawing_images") == 0
    assert sample(server, "fewpass_request_seconds_count") > 0
    server.get("/made/up/by/a/client")
    assert "made" not in server.get("/metrics").text


# Invalid requests.

REFUSED = {
    "prompt missing": ({"n": 1}, "prompt", "missing"),
    "prompt empty": ({"prompt": ""}, "prompt", "''"),
    "prompt blank": ({"prompt": " \n"}, "prompt", r"' \n'"),
    "prompt not a text": ({"prompt": 3}, "prompt", "3"),
    "prompt too long": ({"prompt": "one " * 51}, "prompt", "204 characters"),
    "prompt far too long": ({"prompt": "a " * 9000}, "prompt", "9000|18000"),
    "prompt of unknown words": ({"prompt": "dragon"}, "prompt", "'dragon'"),
    "prompt that does not fit": ({"prompt": "one " * 49}, "prompt", "do not fit"),
    "half a letter": ({"prompt": "\ud800"}, "prompt", "ud800"),
    "n 0": ({"n": 0}, "n", "0"),
    "n 11": ({"n": 11}, "n", "11"),
    "n as text": ({"n": "2"}, "n", "'2'"),
    "n true": ({"n": True}, "n", "True"),
    "size": ({"size": "large"}, "size", "'large'"),
    "size of another model": ({"size": "16x16"}, "size", "16x16"),
    "size too large": ({"size": "2000x2000"}, "size", "2000"),
    "format": ({"output_format": "bmp"}, "output_format", "'bmp'"),
    "partial images": ({"stream": True, "partial_images": 4}, "partial_images", "4"),
    "partial images of no stream": ({"partial_images": 2}, "partial_images", "2"),
    "response format": ({"response_format": "file"}, "response_format", "'file'"),
    "quality": ({"quality": "best"}, "quality", "'best'"),
    "style": ({"style": "oil"}, "style", "'oil'"),
    "moderation": ({"moderation": "high"}, "moderation", "'high'"),
    "background": ({"background": "red"}, "background", "'red'"),
    "compression": ({"output_compression": 101}, "output_compression", "101"),
    "unknown field": ({"frame_count": 2}, "frame_count", "'frame_count'"),
    "decoder of many signs": ({"decoder": f"sjd(window={'-' * 900}1)"}, "decoder", "at most 200"),
    "decoder without a name": ({"decoder": ""}, "decoder", "''"),
    "long decoder": ({"decoder": "x" * 19_000}, "decoder", "at most 200"),
    "unknown field like another": ({"guidence": 2}, "guidence", "(did you mean 'guidance'?)"),
    "unknown word": ({"prompt": "two red starz"}, "prompt", "(did you mean 'stars'?)"),
    "seed below 0": ({"seed": -1}, "seed", "-1"),
    "seed too large": ({"seed": 2**63}, "seed", str(2**63)),
    "last seed too large": ({"seed": 2**63 - 1, "n": 2}, "seed", str(2**63)),
    "unknown decoder": ({"decoder": "fast"}, "decoder", "'fast'"),
    "decoder option": ({"decoder": "sjd(width=2)"}, "decoder", "'width'"),
    "decoder of code": ({"decoder": "__import__('os')"}, "decoder", "__import__"),
    "window": ({"window": -1}, "window", "-1"),
    "window too large": ({"window": 257}, "window", "257"),
    "too many branches": ({"decoder": "jacobi_ngram(window=100, branches=257)"}, "decoder", "257"),
    "window too large in a decoder": ({"decoder": "sjd(window=10000000)"}, "decoder", "10000000"),
    "window too large in rows": ({"decoder": "pjd(window=10000000)"}, "decoder", "10000000"),
    "too many neighbours": ({"decoder": "lantern(neighbours=16000)"}, "decoder", "16000"),
    "huge tree": ({"decoder": "sjd_pac(candidates=9, depth=9)"}, "decoder", "candidates=9"),
    "window of ar": ({"decoder": "ar", "window": 3}, "window", "ar has no option 'window'"),
    "guidance": ({"guidance": -0.5}, "guidance", "-0.5"),
    "temperature": ({"temperature": -1}, "temperature", "-1"),
    "top_k": ({"top_k": 1.5}, "top_k", "1.5"),
    "top_p": ({"top_p": 0}, "top_p", "0"),
    "negative prompt": ({"negative_prompt": "dragon"}, "negative_prompt", "'dragon'"),
    "negative prompt without guidance": ({"guidance": 1, "negative_prompt": "one"}, "negative_prompt", "'one'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_field_is_400_and_named(server, case):
    body, param, message = REFUSED[case]
    body = body if "missing" in case else {"prompt": PROMPT} | body
    answer = server.post(content=json.dumps(body), headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert any(part in error["message"] for part in message.split("|")), error
    assert "\n" not in error["message"]
    assert len(error["message"]) < 300


MALFORMED = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "no text": (b"\xff\xfe{", 400),
    "a list": (b"[]", 400),
    "a number": (b"1", 400),
    "NaN": (b'{"prompt": "one", "guidance": NaN}', 400),
    "infinity": (b'{"prompt": "one", "temperature": 1e999}', 400),
    "a number of many digits": (b'{"prompt": "one", "seed": ' + b"9" * 9000 + b"}", 400),
    "deep": (b"[" * 19_000, 400),
    "too long": (b'{"prompt": "' + b"a" * 20_000 + b'"}', 413),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_body_is_refused(server, case):
    content, status = MALFORMED[case]
    answer = server.post(content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error["code"] is None) == ("invalid_request_error", False)


def test_chunked_body_above_the_limit_is_413(server):
    answer = server.post(content=(b"x" * 1000 for _ in range(30)), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_body_of_another_content_type_is_refused(server):
    """A page in a browser may send others to a server on the same machine, unasked."""
    answer = server.post(content=b'{"prompt": "one"}', headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_body")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/v1/models", 405)])
def test_unknown_path_or_method_is_refused(server, method, path, status):
    answer = httpx.request(method, server.url + path)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (status, "invalid_request_error")
    assert repr(path) in error["message"]


def test_messages_shorten_long_input(server):
    for answer in (server.get("/v1/models/" + "x" * 9000), server.get("/" + "x" * 9000)):
        assert answer.status_code == 404
        assert len(answer.json()["error"]["message"]) < 200
    answer = server.post({"prompt": PROMPT, "model": "x" * 500})
    assert (answer.status_code, len(answer.json()["error"]["message"]) < 200) == (404, True)


@pytest.mark.parametrize("path", ["edits", "edits/", "variations"])
def test_edits_and_variations_are_404(server, path):
    """Whatever the size of the image."""
    answer = httpx.post(f"{server.url}/v1/images/{path}", files={"image": b"x" * 50_000}, data={"prompt": "one"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "not_supported")
    assert f"/v1/images/{path} is not supported" in error["message"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/health", "/v1/models", "/v1/models/tiny", "/metrics"])
def test_head_answers_as_get_without_a_body(server, path):
    answer = httpx.head(server.url + path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == server.get(path).headers["content-type"]


# Requests of known clients: accepted; the answer lists fields without effect.

CLIENTS = {
    "openai 3": {
        "prompt": PROMPT,
        "background": "transparent",
        "moderation": "low",
        "n": 1,
        "output_compression": 50,
        "quality": "high",
        "size": "1024x1024",
        "user": "me",
    },
    "LiteLLM 1.110, model openai/dall-e-3": {
        "model": "dall-e-3",
        "prompt": PROMPT,
        "n": 2,
        "quality": "hd",
        "size": "1024x1024",
    },
    "LangChain, DallEAPIWrapper of langchain-community 0.4": {
        "model": "dall-e-3",
        "prompt": PROMPT,
        "n": 1,
        "quality": "standard",
        "size": "1024x1024",
    },
    "LibreChat, DALL-E-3": {
        "model": "dall-e-3",
        "quality": "standard",
        "style": "vivid",
        "size": "1024x1792",
        "prompt": PROMPT,
        "n": 1,
    },
    "Open WebUI, engine openai": {
        "model": "dall-e-3",
        "prompt": PROMPT,
        "n": 1,
        "size": "512x512",
        "response_format": "b64_json",
    },
}
IGNORED = {"background", "moderation", "output_compression", "quality", "size", "style", "user"}


@pytest.fixture(scope="module")
def dall_e(folder):
    with Running(fewpass.load(folder, "cpu", "float64"), Limits(sizes="nearest"), name="dall-e-3") as running:
        yield running


@pytest.mark.parametrize("name", CLIENTS)
def test_requests_of_known_clients_are_accepted(dall_e, name):
    body = CLIENTS[name]
    answer = dall_e.post(body)
    assert answer.status_code == 200, answer.text
    text = answer.json()
    assert set(text["ignored"]) == IGNORED & body.keys()
    assert text["size"] == "8x8"
    for image in text["data"]:
        key, other = ("b64_json", "url") if "response_format" in body else ("url", "b64_json")
        assert other not in image
        assert picture(image[key].removeprefix("data:image/png;base64,")).size == (8, 8)
    assert len(text["data"]) == body["n"]


def test_request_of_librechats_gpt_image_tool_is_accepted(folder):
    body = {"model": "gpt-image-1", "prompt": PROMPT, "n": 1, "background": "auto", "output_format": "webp"}
    with Running(fewpass.load(folder, "cpu", "float64"), name="gpt-image-1") as running:
        answer = running.post(body | {"output_compression": 100, "quality": "auto", "size": "auto"}).json()
    assert answer["ignored"] == []
    assert picture(answer["data"][0]["b64_json"]).format == "WEBP"


def test_url_response_is_a_data_url(client):
    answer = client.images.generate(prompt=PROMPT, response_format="url", output_format="jpeg")
    head, _, data = answer.data[0].url.partition(",")
    assert (head, answer.data[0].b64_json) == ("data:image/jpeg;base64", None)
    assert picture(data).format == "JPEG"
    assert answer.ignored == []


def test_events_list_ignored_fields(client):
    ask = {"prompt": PROMPT, "stream": True, "partial_images": 1, "response_format": "url", "quality": "hd"}
    for event in client.images.generate(**ask, extra_body={"decoder": "ar"}):
        assert event.ignored == ["quality", "response_format"]
        assert picture(event.b64_json).size == (8, 8)


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ("64x96", "64x96"),
        ("1024x1024", "720x720"),
        ("1792x1024", "928x560"),
        ("70x70", "72x72"),
        ("1x99999", "160x640"),
    ],
)
def test_nearest_size_is_similar_with_no_more_tokens(asked, drawn, tmp_path):
    model = fewpass.load(write_emu3(tmp_path / "emu3"), "cpu").model
    size = RequestParser(model, Limits(sizes="nearest")).size(asked)
    assert "x".join(map(str, size)) == drawn
    assert model.grid(size).size <= model.grid(None).size


def test_size_of_another_model_is_refused_by_default(server):
    answer = server.post({"prompt": PROMPT, "size": "1024x1024"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "size")


def test_default_values_are_not_listed_as_ignored(client):
    answer = client.images.generate(
        prompt=PROMPT, quality="auto", background="opaque", size="auto", response_format="b64_json", output_format="png"
    )
    assert answer.ignored == []
    assert client.images.generate(prompt=PROMPT, size="8x8").ignored == []


# Browsers.


def test_cors_allows_given_origins_only(served):
    page = "https://page.example"
    preflight = {"origin": page, "access-control-request-method": "POST"}
    preflight |= {"access-control-request-headers": "authorization, content-type"}
    with Running(served, key="sesame", cors=[page]) as running:
        url = f"{running.url}/v1/images/generations"
        answer = httpx.options(url, headers=preflight)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, page)
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()
        assert httpx.options(url, headers=preflight | {"origin": "https://other.example"}).status_code == 400
        for key, status in (("Bearer sesame", 200), ("Bearer no", 401)):
            answer = httpx.get(f"{running.url}/v1/models", headers={"origin": page, "authorization": key})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, page)
    with Running(served) as running:
        answer = httpx.get(f"{running.url}/v1/models", headers={"origin": page})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["page.example", "https://page.example/", "https://page.example/a", "", "null *"])
def test_invalid_origin_is_refused(served, origin):
    with pytest.raises(ValueError, match=r"^an origin must be \* or like https://example.org, got '"):
        create_app(served, cors=[origin])


# The key.


@pytest.mark.parametrize("key", ["", "  ", "two words", "ke\ty", "schl\u00fcssel", "a\n"])
def test_invalid_api_key_is_refused(served, key):
    with pytest.raises(ValueError, match="API key") as error:
        create_app(served, api_key=key)
    assert key.strip() in ("", "a") or key not in str(error.value)


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Bearer  ", "Bearer \t"])
def test_authorization_scheme_ignores_case_and_blanks(served, scheme):
    with Running(served, key="sesame") as running:
        answer = httpx.get(f"{running.url}/v1/models", headers={"authorization": f"{scheme}sesame"})
        assert answer.status_code == 200
        answer = httpx.get(f"{running.url}/v1/models", headers={"authorization": f"{scheme}sesam"})
        assert answer.status_code == 401


def test_api_key_protects_v1_only(served):
    with Running(served, key="sesame") as running:
        assert running.client().models.list().data
        for headers in ({}, {"authorization": "Bearer sesam"}, {"authorization": "sesame"}, {"authorization": b"\xff"}):
            for path in ("/v1/models", "/v1/nothing"):
                answer = httpx.get(running.url + path, headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
            # Nothing of the body is looked at.
            assert running.post(content=b"{", headers=headers).status_code == 401
        assert running.get("/healthz").status_code == 200
        assert running.get("/readyz").status_code == 200


# Full queue, timeouts, disconnected clients.


def ask_later(running, **body):
    """A request under way; the answer is `answers[0]` when the thread has ended."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(running.post({"prompt": PROMPT} | body)))
    thread.start()
    return thread, answers


def test_full_queue_is_429_with_retry_after(served):
    with Running(served, Limits(batch_size=1, max_queue=1)) as running:
        gate = Gate(running)
        threads = [ask_later(running, seed=i) for i in range(2)]
        until(lambda: running.engine.images == 2)
        with pytest.raises(openai.RateLimitError) as error:
            running.client().images.generate(prompt=PROMPT)
        assert int(error.value.response.headers["retry-after"]) >= 1
        assert error.value.code == "rate_limit_exceeded"
        assert running.post({"prompt": PROMPT, "n": 3}).json()["error"]["param"] == "n"  # more than ever fit
        gate.open()
        for thread, answers in threads:
            thread.join(PATIENCE)
            assert answers[0].status_code == 200
        assert running.post({"prompt": PROMPT}).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_disconnected_client_frees_its_rows_within_a_pass(served, stream):
    with Running(served, Limits(batch_size=2)) as running:
        gate = Gate(running)
        stays = ask_later(running, seed=1, decoder="ar")
        body = json.dumps({"prompt": PROMPT, "n": 2, "stream": stream, "decoder": "ar"})
        goes = socket.create_connection(("127.0.0.1", running.port))
        goes.sendall(
            b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        until(lambda: running.engine.images == 3)
        gate.let(2)
        assert len(gate.scheduler.drawing) == 2
        commands = running.engine._commands
        goes.close()
        until(lambda: not commands.empty())
        gate.let(1)  # the pass that was about to begin
        until(lambda: running.engine.images == 1)
        gate.let(1)
        assert [job.seed for job in gate.scheduler.drawing] == [1]
        gate.open()
        stays[0].join(PATIENCE)
        assert stays[1][0].status_code == 200
        assert sample(running, "fewpass_images_total", outcome="dropped") == 2


def test_request_after_its_timeout_is_504(served):
    with Running(served, Limits(timeout=0.3)) as running:
        gate = Gate(running)
        answer = running.post({"prompt": PROMPT})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
        with pytest.raises(openai.APIError, match="given up"):
            list(running.client().images.generate(prompt=PROMPT, stream=True))
        gate.open()
        until(lambda: running.engine.images == 0)


def test_slow_body_is_408(served):
    with Running(served, Limits(stall=0.2)) as running, socket.create_connection(("127.0.0.1", running.port)) as slow:
        slow.settimeout(PATIENCE)
        slow.sendall(b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_model_error_is_500_and_the_next_image_is_drawn(served, monkeypatch, caplog):
    with Running(served) as running:
        with monkeypatch.context() as patch:
            patch.setattr(type(served.model.network.body), "__call__", lambda *given: 1 / 0)
            answer = running.post({"prompt": PROMPT})
            assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
            assert "zero" not in answer.text
            with pytest.raises(openai.APIError, match="could not be drawn"):
                list(running.client().images.generate(prompt=PROMPT, stream=True))
        assert "division by zero" in caplog.text
        assert running.post({"prompt": PROMPT}).status_code == 200
        assert running.engine.images == 0


def test_readyz_is_503_after_the_engine_stopped(served, monkeypatch, caplog):
    with Running(served) as running:
        monkeypatch.setattr(running.engine._scheduler, "step", lambda: 1 / 0)
        assert running.post({"prompt": PROMPT}).status_code == 500
        until(lambda: not running.engine.ready)
        assert running.post({"prompt": PROMPT}).status_code == 503
        assert [running.get(path).status_code for path in ("/readyz", "/health", "/healthz")] == [503, 503, 200]
    assert "drawing has stopped" in caplog.text


# Stopping.


def test_stop_finishes_begun_images_and_refuses_waiting_ones(served, pipeline):
    with Running(served, Limits(batch_size=1)) as running:
        gate = Gate(running)
        drawn = ask_later(running, seed=3)
        until(lambda: running.engine.images == 1)
        gate.let(1)
        waits = ask_later(running, seed=4)
        until(lambda: running.engine.images == 2)
        running.tell_to_stop()
        until(lambda: not running.engine.ready)
        gate.open()
        running.join()
    for thread, _ in (drawn, waits):
        thread.join(PATIENCE)
    image = picture(drawn[1][0].json()["data"][0]["b64_json"])
    assert image.tobytes() == pipeline(PROMPT, seed=3).images[0].tobytes()
    assert (waits[1][0].status_code, waits[1][0].json()["error"]["code"]) == (503, "server_stopping")


def test_stop_refuses_images_after_the_grace(served):
    with Running(served, Limits(grace=0.2)) as running:
        gate = Gate(running)
        thread, answers = ask_later(running, decoder="ar")
        until(lambda: running.engine.images == 1)
        gate.let(1)
        running.tell_to_stop()
        until(lambda: running.engine._commands.qsize() >= 2)
        gate.open()
        thread.join(PATIENCE)
    assert answers[0].status_code == 503
