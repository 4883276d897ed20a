"""A server in a thread of this process, and a gate that allows one forward pass at a time."""

import base64
import io
import threading
import time
from types import TracebackType
from typing import Self

import httpx
import openai
from PIL import Image

from fewpass import Pipeline
from fewpass.serve.app import create_app
from fewpass.serve.connections import listen
from fewpass.serve.limits import Limits
from fewpass.serve.server import Server

PATIENCE = 60.0  # seconds after which a test gives up


class Running:
    """`url` is where it is. Stops with the context."""

    def __init__(self, pipe: Pipeline, limits: Limits | None = None, key: str | None = None, **options):
        limits = limits or Limits()
        self.app = create_app(pipe, limits, key, **options)
        self.engine = self.app.state.engine
        self._socket = listen("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self.url, self.key = f"http://127.0.0.1:{self.port}", key
        self._server = Server(self.app, limits)
        self._server.config.log_level = "warning"
        self._server.config.configure_logging()
        self._server.config.access_log = False
        self._clients = list[openai.OpenAI]()
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self._server.started)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.tell_to_stop()
        self.join()
        for client in self._clients:  # else garbage collection closes their sockets, with a warning in a later test
            client.close()
        self._socket.close()

    def tell_to_stop(self) -> None:
        self._server.should_exit = True

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def client(self, **options) -> openai.OpenAI:
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key or "none", max_retries=0, **options)
        self._clients.append(client)
        return client

    def post(self, body: object = None, **options) -> httpx.Response:
        options = {"json": body} | options if body is not None else options
        return httpx.post(f"{self.url}/v1/images/generations", timeout=PATIENCE, **options)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=PATIENCE)


class Gate:
    """Holds the drawing up before every pass that it was not allowed."""

    def __init__(self, running: Running):
        self._permits, self._open = threading.Semaphore(0), False
        self.passes, scheduler = 0, running.engine._scheduler
        self.scheduler, self._step = scheduler, scheduler.step
        scheduler.step = self._wait

    def _wait(self) -> list:
        if not self._open and (self.scheduler.waiting or self.scheduler.drawing):
            self._permits.acquire(timeout=PATIENCE)
        over = self._step()
        self.passes += 1
        return over

    def let(self, passes: int = 1) -> None:
        """Allow so many passes, and wait for them."""
        goal = self.passes + passes
        for _ in range(passes):
            self._permits.release()
        until(lambda: self.passes >= goal)

    def open(self) -> None:
        self._open = True
        self._permits.release()


def until(holds) -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def picture(b64: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(b64)))
    image.load()
    return image
