"""`fewpass serve` as it is started from a shell."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from fewpass.cli import main

BAD = [
    (["--port", "http"], "'http'"),
    (["--port", "99999"], "99999"),
    (["--host", "nowhere.invalid"], "nowhere.invalid"),
    (["--batch", "0"], "'0'"),
    (["--queue", "-1"], "-1"),
    (["--images", "11"], "11"),
    (["--timeout", "0"], "0"),
    (["--grace", "nan"], "nan"),
    (["--api-key", " "], "API key"),
    (["--model", "absent", "--port", "0"], "'absent'"),
    (["--replicas", "2"], "--replicas 2 has no effect without --ray"),
    (["--cores", "2"], "--cores 2 has no effect without --ray"),
    (["--ray", "--replicas", "0"], "'0'"),
]


def refused(capsys, *arguments):
    """The line that a command says which must fail."""
    assert main(["serve", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(("arguments", "named"), BAD)
def test_bad_options_are_one_line(capsys, arguments, named):
    pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
    assert named in refused(capsys, *arguments)


def test_port_in_use(capsys):
    pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in refused(capsys, "--port", port)


def test_without_the_extra_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr("fewpass.cli.serve.find_spec", lambda name: None if name == "fastapi" else "it is there")
    assert refused(capsys) == "fewpass: serving needs fastapi: pip install 'fewpass[serve]'\n"


def test_without_ray_serve_it_says_what_to_install(capsys, monkeypatch):
    pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert refused(capsys, "--port", "0", "--ray") == "fewpass: --ray needs ray: pip install 'fewpass[serve-ray]'\n"


@pytest.mark.serve
@pytest.mark.skipif(os.name != "posix", reason="sends SIGTERM")
def test_from_a_shell_until_sigterm(folder):
    httpx = pytest.importorskip("httpx", reason="the client of this test is not installed: pip install httpx")
    command = [sys.executable, "-m", "fewpass", "serve", "--port", "0", "--model", str(folder), "--name", "mine"]
    environment = os.environ | {"FEWPASS_API_KEY": "sesame"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        where = next(
            m[1] for m in (re.fullmatch(r"mine at (http://127.0.0.1:\d+/v1)\n", line) for line in process.stderr) if m
        )
        assert httpx.get(f"{where}/models").status_code == 401
        answer = httpx.get(f"{where}/models", headers={"authorization": "Bearer sesame"})
        assert [model["id"] for model in answer.json()["data"]] == ["mine"]
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(60) in (0, -signal.SIGTERM)
    assert "Traceback" not in rest
