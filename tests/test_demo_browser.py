"""The demo in a real browser: Debian's chromium, driven by playwright."""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from fewpass.io.png_metadata import KEY
from tests.tiny import SIDE

CHROMIUM = shutil.which("chromium")
MISSING = [name for name in ("gradio", "playwright") if find_spec(name) is None] + ["chromium"] * (CHROMIUM is None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install .[demo,browser], a chromium"),
]
N = SIDE**2
LAPTOP, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}

# The program with slower passes, and a log of its events.
SERVER = """
import signal, sys, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job is started without

def watch_connections(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
        if host not in ("127.0.0.1", "::1", "localhost"):
            print("OUTSIDE", arguments[1], flush=True)
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "localhost", b"127.0.0.1", None):
        print("OUTSIDE", arguments[0], flush=True)

sys.addaudithook(watch_connections)

from fewpass.cli import main
from fewpass.engine.scheduler import Scheduler

def step(self, step=Scheduler.step):
    time.sleep(0.2)  # so that a comparison takes seconds
    print("PASS", flush=True)
    return step(self)

Scheduler.step = step
sys.exit(main(sys.argv[1:]))
"""


class Server:
    def __init__(self, arguments, log: Path):
        self.log = log
        with log.open("w") as out:
            command = [sys.executable, "-W", "ignore", "-c", SERVER, "demo", *arguments]
            alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # the browser wants a core too
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=alone)
        while not (found := re.search(r"^(http://.*)$", log.read_text(), re.M)):
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.1)
        self.address = found[1]

    @property
    def passes(self) -> int:
        return log_lines(self.log).count("PASS")

    def settled(self) -> int:
        """The passes there have been, once there are no more of them."""
        while (before := self.passes) != (time.sleep(1), self.passes)[1]:
            pass
        return before


def log_lines(log: Path) -> list[str]:
    return log.read_text().splitlines()


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Server(["--model", str(folder), "--port", str(port)], tmp_path_factory.mktemp("demo") / "log")
    yield running
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 130
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page. In the end, no page has asked anybody else for anything, or complained."""
    pages, asked, complaints = [], [], []

    def open_page(size=LAPTOP):
        page = browser.new_page(viewport=size)
        pages.append(page)
        page.set_default_timeout(240_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda opened: asked.append(opened.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(server.address, timeout=240_000)
        page.wait_for_selector("#fp-run")
        return page

    yield open_page
    for page in pages:
        page.close()
    own = urlsplit(server.address).netloc
    assert asked
    assert [url for url in asked if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != own] == []
    assert complaints == []
    assert [line for line in log_lines(server.log) if line.startswith("OUTSIDE")] == []


def passes(page):
    return page.eval_on_selector_all(".fp-panel", "panels => panels.map(panel => Number(panel.dataset.passes))")


def wait_for_pass(page, count):
    page.wait_for_function(f"() => document.querySelector('.fp-panel').dataset.passes >= {count}")


def wait_for_end(page):
    page.wait_for_function("() => document.querySelectorAll('.fp-finished').length === 2")
    page.wait_for_selector("#fp-run:not([disabled])")


def choose(page, decoder, told):
    page.click("#fp-decoder input")
    page.get_by_role("option", name=decoder, exact=True).click()
    page.wait_for_function("told => document.querySelector('#fp-about').innerText.includes(told)", arg=told)


def test_comparison_shows_both_decoders(visit):
    page = visit()
    assert page.input_value("#fp-window input") == "16", "that of the default decoder on a CPU"
    page.fill("#fp-prompt textarea", "two red stars")
    choose(page, "gs_sjd", "Gumbel")
    page.fill("#fp-window input", "3")
    page.fill("#fp-seed input", "9007199254740993")  # which JavaScript's numbers cannot hold
    # Every picture that either panel shows.
    page.evaluate(
        """() => { window.seen = [new Set(), new Set()];
        new MutationObserver(() => document.querySelectorAll('.fp-picture').forEach((box, i) => {
            const image = box.querySelector('img'); if (image) window.seen[i].add(image.src); }))
        .observe(document.querySelector('#fp-board'), {childList: true, subtree: true}); }"""
    )
    page.click("#fp-run")
    wait_for_pass(page, 3)
    assert page.is_disabled("#fp-run")
    assert page.is_visible(".fp-heat img")
    wait_for_end(page)
    slow, fast = passes(page)
    assert slow == N
    assert 1 < fast < N
    assert min(page.evaluate("() => window.seen.map(images => images.size)")) >= 2
    note = page.inner_text(".fp-note")
    assert f"gs_sjd took {fast} passes instead of {slow}" in note
    assert "Seed 9007199254740993." in note
    assert [text.split("\n")[0] for text in page.locator(".fp-panel header").all_inner_texts()] == ["ar", "gs_sjd"]
    url = page.locator(".fp-save").nth(1).get_attribute("href")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as saved:
        assert saved.size == (2 * SIDE, 2 * SIDE)
        kept = json.loads(saved.info[KEY])
    assert (kept["seed"], kept["decoder"]) == (9007199254740993, "gs_sjd(window=3, guess=uniform)")
    assert page.evaluate("() => document.querySelector('.fp-picture img').naturalWidth") == 2 * SIDE


def test_stop_ends_the_comparison(visit, server):
    page = visit()
    sample = page.locator("#fp-examples button").nth(1)
    sample.click()
    page.wait_for_function(
        "text => document.querySelector('#fp-prompt textarea').value === text", arg=sample.inner_text().strip()
    )  # or its late answer would take the place of what is typed next
    page.fill("#fp-prompt textarea", "two blue stars")
    page.press("#fp-prompt textarea", "Enter")
    wait_for_pass(page, 3)
    page.click("#fp-stop")
    page.wait_for_function("() => document.querySelector('#fp-message').innerText.startsWith('Stopped.')")
    page.wait_for_selector("#fp-run:not([disabled])")
    assert page.is_disabled("#fp-stop")
    assert passes(page)[0] < N
    assert server.settled() == server.passes  # the machine is free
    page.click("#fp-run")
    wait_for_end(page)


def test_closed_tab_draws_no_further(visit, server):
    page, before = visit(), server.settled()
    page.fill("#fp-prompt textarea", "two red stars")
    choose(page, "sjd", "draw all other drafts anew")
    page.fill("#fp-window input", "0")  # as slow as ar: two times N passes
    page.click("#fp-run")
    wait_for_pass(page, 3)
    page.close()
    assert server.settled() - before < 2 * N


def test_click_is_shown_before_the_server_answers(visit):
    page = visit()
    page.fill("#fp-prompt textarea", "two red stars")
    page.route("**/gradio_api/**", lambda route: (page.wait_for_timeout(2000), route.continue_()))
    page.click("#fp-run", no_wait_after=True)
    page.wait_for_function("() => document.querySelector('#fp-message').innerText.includes('Waiting')", timeout=1500)
    assert page.is_enabled("#fp-stop")
    assert page.is_disabled("#fp-run")
    page.unroute_all(behavior="wait")
    wait_for_pass(page, 1)
    page.click("#fp-stop")
    page.wait_for_selector("#fp-run:not([disabled])")


def test_warm_up_is_shown_and_can_be_stopped(visit, server):
    page, before = visit(), server.settled()
    page.fill("#fp-prompt textarea", "two red stars")
    page.click("#fp-run")
    page.wait_for_function("() => document.querySelector('#fp-message').innerText.includes('Warming up')")
    page.click("#fp-stop")
    page.wait_for_function("() => document.querySelector('#fp-message').innerText.startsWith('Stopped.')")
    assert server.settled() - before <= 4


def test_laptop_shows_all_controls_without_scrolling(visit):
    page = visit()
    for name in ("prompt", "run", "stop", "model", "decoder", "window", "guidance", "seed", "board .fp-note"):
        box = page.locator(f"#fp-{name}").bounding_box()
        assert box["y"] + box["height"] <= LAPTOP["height"], name


def test_bad_input_is_shown_on_the_page(visit):
    page = visit()
    for field, typed, said in (
        ("#fp-prompt textarea", "a <b>dragon</b>", "<b>dragon</b>"),
        ("#fp-seed input", "x", "a seed must be a whole number < 2**63, got 'x'"),
        ("#fp-window input", "-2", "-2"),
        ("#fp-window input", "1.5", "1.5"),
        ("#fp-guidance input", "-3", "guidance must be a number >= 0, got -3"),
        ("#fp-prompt textarea", "", "a prompt must say something, got ''"),
    ):
        good = {"#fp-prompt textarea": "two stars", "#fp-seed input": "7", "#fp-window input": "3"}
        for name, value in (good | {"#fp-guidance input": "2", field: typed}).items():
            page.fill(name, value)
        page.click("#fp-run")
        page.wait_for_function("said => document.querySelector('#fp-message').innerText.includes(said)", arg=said)
        assert page.locator("[role=alert]").count() == 1
        page.wait_for_selector("#fp-run:not([disabled])")


def test_phone_shows_both_panels_side_by_side(visit):
    page = visit(PHONE)
    left, right = (box.bounding_box() for box in page.locator(".fp-picture").all())
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] < right["x"]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
    for panel, law in zip(page.locator(".fp-panel").all(), page.locator(".fp-exactness").all(), strict=True):
        inner, outer = law.bounding_box(), panel.bounding_box()
        assert inner["x"] + inner["width"] <= outer["x"] + outer["width"]


def test_page_contacts_no_other_host(visit):
    page = visit()
    answer = page.request.get(page.url)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<(link|script|img|iframe)[^>]*(href|src)=.?(https?:)?//", answer.text())
