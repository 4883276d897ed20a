"""The process around the application."""

import asyncio
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from fewpass.serve.connections import Connection, close_late
from fewpass.serve.engine import Engine
from fewpass.serve.limits import Limits
from fewpass.serve.listening import BACKLOG

SECOND = 10  # ticks
MOMENT = 2  # seconds to say that something is given up


class Server(uvicorn.Server):
    """Told to stop, it takes nothing more, refuses what waits, and finishes what is being drawn, within `grace` s.

    Told once more by Ctrl-C, it gives up the rest after the pass that is under way.
    """

    def __init__(self, app: FastAPI, limits: Limits, announce: Callable[[], object] = lambda: None):
        grace = int(limits.grace) + MOMENT + 1
        protocol: Any = partial(Connection, limits)
        super().__init__(
            uvicorn.Config(app, http=protocol, ws="none", backlog=BACKLOG, timeout_graceful_shutdown=grace)
        )
        self.engine: Engine = app.state.engine
        self.limits, self.announce = limits, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self.announce()

    async def on_tick(self, counter: int) -> bool:
        if counter % SECOND == 0:
            connections = cast(set[Connection], self.server_state.connections)
            close_late(connections, self.limits, self._loop.time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.engine.drain()
        self._give_up_in(self.limits.grace)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:  # uvicorn would leave with the drawing thread under way
            self._loop.call_soon_threadsafe(self._give_up_in, 0)
        else:
            super().handle_exit(sig, frame)

    def _give_up_in(self, seconds: float) -> None:
        """Refuse what is not finished then, and a moment later close the connections of clients that do not read it."""
        self._loop.call_later(seconds, self.engine.abort)
        self._loop.call_later(seconds + MOMENT, self._hang_up)

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
