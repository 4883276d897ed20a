"""The process around the application."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack

import uvicorn
from fastapi import FastAPI

from fewpass.serve.engine import Engine
from fewpass.serve.limits import Limits

CONNECTIONS = 1000  # more are answered with 503


def listen(host: str, port: int) -> socket.socket:
    """A socket for connections to `host` and `port`, 0 for any port. Raises ValueError saying why there is none."""
    if not 0 <= port < 1 << 16:  # getaddrinfo would take it modulo that
        raise ValueError(f"port must lie in 0..65535, not {port}")
    try:
        (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with ExitStack() as unless_bound:
            bound = unless_bound.enter_context(socket.socket(family))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            unless_bound.pop_all()
            return bound
    except OSError as error:
        raise ValueError(f"cannot listen on {host}:{port}: {error.strerror}") from None


class Server(uvicorn.Server):
    """Told to stop, it takes nothing more, refuses what waits, and finishes what is being drawn, within `grace` s."""

    def __init__(self, app: FastAPI, limits: Limits, announce: Callable[[], object] = lambda: None):
        grace = int(limits.grace) + 2  # a moment to say that something is given up
        super().__init__(uvicorn.Config(app, limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=grace))
        self.engine: Engine = app.state.engine
        self.grace, self.announce = limits.grace, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.engine.drain()
        asyncio.get_running_loop().call_later(self.grace, self.engine.abort)
        await super().shutdown(sockets)
