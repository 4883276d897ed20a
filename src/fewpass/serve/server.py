"""The process around the application."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

import uvicorn
from fastapi import FastAPI

from fewpass.serve.connections import Connection, close_late
from fewpass.serve.engine import Engine
from fewpass.serve.limits import Limits
from fewpass.serve.listening import BACKLOG

SECOND = 10  # ticks


class Server(uvicorn.Server):
    """Told to stop, it takes nothing more, refuses what waits, and finishes what is being drawn, within `grace` s.

    Told once more by Ctrl-C, it stops after the pass that is under way.
    """

    def __init__(self, app: FastAPI, limits: Limits, announce: Callable[[], object] = lambda: None):
        grace = int(limits.grace) + 2  # a moment to say that something is given up
        protocol = partial(Connection, limits)
        super().__init__(
            uvicorn.Config(app, http=protocol, ws="none", backlog=BACKLOG, timeout_graceful_shutdown=grace)
        )
        self.engine: Engine = app.state.engine
        self.limits, self.announce = limits, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.announce()

    async def on_tick(self, counter: int) -> bool:
        if counter % SECOND == 0:
            close_late(self.server_state.connections, self.limits, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.engine.drain()
        asyncio.get_running_loop().call_later(self.limits.grace, self.engine.abort)
        await super().shutdown(sockets)
