"""Connections that are silent, send too much or invalid HTTP, while other clients are served."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
httpx = pytest.importorskip("httpx", reason="what tests the server is not installed: pip install 'fewpass[serve-test]'")
pytest.importorskip("openai", reason="what tests the server is not installed: pip install 'fewpass[serve-test]'")

import fewpass  # noqa: E402
from fewpass.serve.connections import OTHER_FILES  # noqa: E402
from fewpass.serve.limits import CONNECTIONS, Limits  # noqa: E402
from tests.serving import PATIENCE, Gate, Running, until  # noqa: E402

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def served(folder):
    return fewpass.load(folder, "cpu", "float64")


@pytest.fixture(scope="module")
def server(served):
    with Running(served, Limits(body=2000)) as running:
        yield running


@contextlib.contextmanager
def silent(server, count, sent=b""):
    """Connections that send `sent` and nothing more."""
    with contextlib.ExitStack() as opened:
        sockets = []
        for _ in range(count):
            sockets.append(opened.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE)))
            sockets[-1].sendall(sent)
        yield sockets


def closed(connection, within):
    """Whether the server closes a connection, after any answer, within so many seconds."""
    connection.settimeout(within)
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def answers(server, sent, count=1):
    """The status, headers and body of `count` answers on one connection, and whether it is closed then."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        connection.sendall(sent)
        found, text = [], b""
        while len(found) < count:
            part = connection.recv(1 << 16)
            assert part, text
            text += part
            while match := re.match(rb"HTTP/1.1 (\d+) .*?\r\n(.*?)\r\n\r\n", text, re.DOTALL):
                headers = dict(line.lower().split(b": ", 1) for line in match[2].split(b"\r\n"))
                end = match.end() + int(headers[b"content-length"])
                if len(text) < end:
                    break
                found.append((int(match[1]), headers, text[match.end() : end]))
                text = text[end:]
        return found, closed(connection, 0.2)


# Silent connections.


HALVES = {"nothing": b"", "half of the headers": GET[:20], "no body": POST + b"Content-Length: 9\r\n\r\n", "whole": GET}


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_silent_connections_block_no_client(served, sent):
    with Running(served, Limits(connections=20)) as running, silent(running, 40, sent) as sockets:
        for _ in range(5):
            assert running.get("/healthz").status_code == 200
        assert running.post({"prompt": "red stars"}).status_code == 200
        assert sum(closed(connection, 0.02) for connection in sockets) >= 20
        assert closed(sockets[0], 0.02)
        until(lambda: len(running._server.server_state.connections) <= 21)


def test_connection_without_complete_headers_is_closed(served):
    with Running(served, Limits(stall=1.5)) as running, silent(running, 1) as [connection]:
        for byte in GET[:12]:
            time.sleep(0.05)
            connection.sendall(bytes([byte]))
        assert not closed(connection, 0.3)
        assert closed(connection, 3)
        assert running.get("/healthz").status_code == 200


def test_max_per_address_limits_connections(served):
    with Running(served, Limits(max_per_address=2)) as running, silent(running, 3) as sockets:
        assert closed(sockets[0], 10)
        assert not closed(sockets[2], 0.1)


def test_connection_beyond_the_limit_is_closed_while_all_others_are_answered(served):
    with Running(served, Limits(connections=2)) as running, ThreadPoolExecutor(2) as clients:
        gate = Gate(running)
        drawn = [clients.submit(running.post, {"prompt": "red stars"}) for _ in range(2)]
        until(lambda: running.engine.images == 2)
        with silent(running, 1, GET) as [further]:
            assert closed(further, PATIENCE)
        gate.open()
        assert [client.result().status_code for client in drawn] == [200, 200]


def test_body_must_arrive_within_the_stall_time(served):
    with (
        Running(served, Limits(stall=0.5)) as running,
        silent(running, 1, POST + b"Content-Length: 50\r\n\r\n") as [slow],
    ):
        slow.settimeout(PATIENCE)
        started = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < started + 2:
                slow.sendall(b" ")
                time.sleep(0.1)
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert closed(slow, 5)


def test_client_that_does_not_read_is_disconnected(served):
    with Running(served, Limits(stall=0.5)) as running, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.connect(("127.0.0.1", running.port))
        reader.sendall(GET.replace(b"/healthz", b"/openapi.json") * 500)  # more than the system keeps
        until(lambda: len(running._server.server_state.connections) == 1)
        until(lambda: len(running._server.server_state.connections) == 0)


@pytest.mark.serve
@pytest.mark.skipif(os.name != "posix", reason="sends SIGTERM")
@pytest.mark.parametrize("files", [None, 1100], ids=["files as many as there are", "few files"])
def test_a_thousand_silent_connections_block_no_client(folder, files):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))  # the clients are here
    command = [sys.executable, "-m", "fewpass", "serve", "--port", "0", "--model", str(folder)]
    limit = files and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))
    with contextlib.ExitStack() as opened:
        process = opened.enter_context(
            subprocess.Popen(
                command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=limit or None
            )
        )
        opened.callback(process.kill)
        url = next(m[1] for m in (re.search(r" at (http://\S+)/v1", line) for line in process.stderr) if m)
        port = int(url.rpartition(":")[2])
        for _ in range(1001):
            opened.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
        end = time.monotonic() + Limits().stall + 10  # they are silent for too long, and closed
        while time.monotonic() < end:
            answer = httpx.post(f"{url}/v1/images/generations", json={"prompt": "red stars"}, timeout=20)
            assert answer.status_code == 200
            assert httpx.get(f"{url}/healthz", timeout=5).status_code == 200
            time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.stderr.read()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_fit_into_the_limit_of_open_files():
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))\n"
        "from fewpass.serve.connections import most_connections\n"
        "print(most_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )

    def counted(soft, hard):
        run = subprocess.run([sys.executable, "-c", code, str(soft), str(hard)], capture_output=True, check=True)
        return tuple(map(int, run.stdout.split()))

    assert counted(1024, 4096) == (CONNECTIONS, CONNECTIONS + OTHER_FILES)
    assert counted(1024, 1024) == (1024 - OTHER_FILES, 1024)


# Bodies of a wrong length, and invalid HTTP.


def test_long_body_does_not_swallow_the_next_request(server):
    announced = POST + b"Content-Length: 3000\r\n\r\n"
    [(status, _, body)], gone = answers(server, announced)  # and nothing more
    assert (status, gone) == (413, False)
    assert json.loads(body)["error"]["code"] == "body_too_large"
    [(status, *_), (next_status, *_)], gone = answers(server, announced + b"x" * 3000 + GET, 2)
    assert (status, next_status, gone) == (413, 200, False)
    [(status, *_)], _ = answers(server, announced.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert status == 413
    [(status, *_)], _ = answers(server, POST + b"Content-Length: 9999999999\r\n\r\n" + b"x" * 100_000)
    assert status == 413


def test_connection_of_a_rejected_request_without_its_body_is_closed(served):
    with Running(served, Limits(stall=0.3), key="sesame") as running, silent(running, 1) as [connection]:
        connection.sendall(POST + b"Content-Length: 9\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")
        assert closed(connection, 5)


def test_unauthorised_body_does_not_swallow_the_next_request(served):
    with Running(served, key="sesame") as running:
        [(status, *_), (next_status, *_)], gone = answers(
            running, POST + b"Content-Length: 9\r\n\r\n{'n': 12}" + GET, 2
        )
        assert (status, next_status, gone) == (401, 200, False)


def test_content_length_with_transfer_encoding_is_refused(server):
    body = b"5\r\nhello\r\n0\r\n\r\n"
    sent = POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    [(status, headers, text)], gone = answers(server, sent)
    assert (status, headers[b"connection"], gone) == (400, b"close", True)
    assert json.loads(text)["error"]["code"] == "invalid_http"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 100_000,
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    ],
    ids=["TLS", "no host", "long", "no colon"],
)
def test_invalid_http_is_400(server, sent):
    with silent(server, 1, sent) as [connection]:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
        assert closed(connection, 5)
