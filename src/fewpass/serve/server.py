"""The process around the application."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from fewpass.serve.engine import Engine
from fewpass.serve.limits import CONNECTIONS, Limits


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
