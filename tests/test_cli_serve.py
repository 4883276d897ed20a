"""The command `fewpass serve`."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

import fewpass.cli.serve
import fewpass.io.extra
from fewpass.cli import main

BAD = [
    (["--port", "http"], "'http'"),
    (["--port", "99999"], "99999"),
    (["--host", "nowhere.invalid"], "nowhere.invalid"),
    (["--host", "x" * 10_000], "cannot listen on 'xxx"),
    (["--model", "x" * 10_000, "--port", "0"], "'xxx"),
    (["--" + "x" * 10_000], "No such option: --xxx"),
    (["--cors", "x" * 10_000], "'xxx"),
    (["--batch-size", "0"], "batch_size must be a whole number >= 1, got 0"),
    (["--max-queue", "-1"], "-1"),
    (["--max-images", "11"], "max_images"),
    (["--timeout", "0"], "0"),
    (["--grace", "nan"], "nan"),
    (["--api-key", " "], "API key"),
    (["--api-key", ""], "API key"),
    (["--api-key", "two words"], "API key"),
    (["--sizes", "some"], "'some'"),
    (["--cors", "page.example"], "'page.example'"),
    (["--max-per-address", "0"], "max_per_address must be a whole number >= 1, got 0"),
    (["--model", "absent", "--port", "0"], "'absent'"),
    (["--replicas", "2"], "--replicas 2 has no effect without --ray"),
    (["--cores", "2"], "--cores 2 has no effect without --ray"),
    (["--ray", "local", "--replicas", "0"], "'0'"),
]


def refused(capsys, *arguments):
    """The line that a command says which must fail."""
    assert main(["serve", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert len(err) < 1300
    return err


@pytest.mark.parametrize(("arguments", "named"), BAD, ids=[" ".join(arguments)[:40] for arguments, _ in BAD])
def test_invalid_options_print_one_line(capsys, arguments, named):
    pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
    assert named in refused(capsys, *arguments)


@pytest.mark.parametrize("key", ["", "  ", "ke\ty"])
def test_invalid_key_in_the_environment_starts_no_server(capsys, monkeypatch, key):
    """As it is where a secret is not set."""
    pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
    monkeypatch.setenv("FEWPASS_API_KEY", key)
    monkeypatch.setattr(fewpass.cli.serve, "open_model", lambda *given: pytest.fail("it would have served"))
    assert "API key" in refused(capsys, "--port", "0")


def test_port_in_use_is_refused(capsys):
    pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in refused(capsys, "--port", port)


def test_missing_extra_names_the_install_command(capsys, monkeypatch):
    monkeypatch.setattr(fewpass.io.extra, "find_spec", lambda name: None if name == "fastapi" else "it is there")
    assert refused(capsys) == 'fewpass: fastapi is not installed: pip install "fewpass[serve]"\n'


def test_missing_ray_names_the_install_command(capsys, monkeypatch):
    pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert (
        refused(capsys, "--port", "0", "--ray", "local")
        == "fewpass: --ray needs ray: pip install 'fewpass[serve-ray]'\n"
    )


@pytest.mark.serve
@pytest.mark.skipif(os.name != "posix", reason="sends SIGTERM")
def test_command_serves_until_sigterm(folder):
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


@pytest.mark.serve
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_second_ctrl_c_ends_streams_without_traceback():
    httpx = pytest.importorskip("httpx", reason="the client of this test is not installed: pip install httpx")
    command = [sys.executable, "-m", "fewpass", "serve", "--port", "0", "--grace", "600"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process,
        httpx.Client(timeout=60) as client,
    ):
        where = next(m[1] for m in (re.search(r" at (http://\S+)\n", line) for line in process.stderr) if m)
        body = {"prompt": "two red stars", "n": 10, "stream": True, "partial_images": 3, "decoder": "ar"}
        with client.stream("POST", f"{where}/images/generations", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            process.send_signal(signal.SIGINT)
            time.sleep(1.0)  # two signals in one forward pass are one
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            assert process.wait(60) == 130
            assert "server_stopping" in "".join(lines)
    for word in ("Traceback", "terminate", "Exception"):
        assert word not in rest
