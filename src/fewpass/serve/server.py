"""The server process: uvicorn with a graceful stop."""

import asyncio
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from fewpass.serve.connections import BACKLOG, Connection
from fewpass.serve.engine import Engine
from fewpass.serve.limits import Limits

SECOND = 10  # ticks
MOMENT = 3  # seconds to send the last errors; then uvicorn closes the connections of clients that do not read


class Server(uvicorn.Server):
    """A uvicorn server that stops in order: waiting requests are refused, images being drawn finish within `grace` s.

    A second Ctrl-C refuses these too, after the current forward pass. `announce` is called once the server listens.
    """

    def __init__(self, app: FastAPI, limits: Limits, announce: Callable[[], object] = lambda: None):
        grace = int(limits.grace) + MOMENT
        protocol: Any = partial(Connection, limits)
        super().__init__(
            uvicorn.Config(app, http=protocol, ws="none", backlog=BACKLOG, timeout_graceful_shutdown=grace)
        )
        self.engine: Engine = app.state.engine
        self.limits, self.announce = limits, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and announce it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self.announce()

    async def on_tick(self, counter: int) -> bool:
        """Close late connections, once a second."""
        if counter % SECOND == 0:
            for connection in list(cast(set[Connection], self.server_state.connections)):
                connection.close_if_late(self._loop.time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the engine in order, then the server."""
        self.engine.drain()
        self._loop.call_later(self.limits.grace, self.engine.abort)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; refuse unfinished requests at a second Ctrl-C."""
        if self.should_exit and sig == signal.SIGINT:  # uvicorn would exit while the engine's thread draws
            self.engine.abort()
        else:
            super().handle_exit(sig, frame)
