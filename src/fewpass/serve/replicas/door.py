"""What stands before Ray's own proxy, in its process."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fewpass.serve.cors import cors_options
from fewpass.serve.errors import ApiError
from fewpass.serve.guard import Guard
from fewpass.serve.limits import Limits

TRIES = 2  # more, and a request that kills replicas would kill them all
GIVEN = "FEWPASS_DOOR"


def environment(limits: Limits, cors: Sequence[str]) -> dict[str, str]:
    """Variables that have Ray's proxies put this module's `middlewares` before themselves."""
    return {
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{__name__}:{middlewares.__name__}",
        GIVEN: json.dumps({"limits": asdict(limits), "cors": cors}),
    }


def middlewares() -> list[Middleware]:
    """From the inside to the outside. The key stays with the application: the environment is no place for it."""
    given = json.loads(os.environ[GIVEN])
    browsers = [Middleware(CORSMiddleware, **cors_options(given["cors"]))] if given["cors"] else []
    return [Middleware(Door), Middleware(Guard, key=None, limits=Limits(**given["limits"])), *browsers]


class Door:
    """A request whose replica dies before it answers is given to another; what Ray itself says gets our errors' shape.

    Expects whole bodies, as `Guard` passes them on.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = Visit(receive, send)
        for _ in range(TRIES):
            await self.app(dict(scope), visit.receiving(), visit.send)
            if visit.begun or visit.refused or visit.gone:
                break
        if visit.gone or visit.ended:
            return
        if visit.refused:
            error = ApiError(503, "no replica takes requests now", code="no_replica", headers={"Retry-After": "5"})
        else:
            error = ApiError(503, "the replica was lost", code="replica_lost", headers={"Retry-After": "1"})
        if not visit.begun:
            await error.response(scope, receive, send)
        elif visit.streams:
            await send({"type": "http.response.body", "body": error.event.encode()})


class Visit:
    """A request and what has become of it.

    Its answer has `begun`, maybe it `streams` events, it has `ended`; Ray itself has `refused` it; its client has
    `gone`. Without any of these its replica is lost.
    """

    def __init__(self, receive: Receive, send: Send):
        self._receive, self._send = receive, send
        self._body: Message | None = None
        self.begun = self.streams = self.ended = self.refused = self.gone = False

    def receiving(self) -> Receive:
        """What gives the body, for every try anew, and then goes on."""
        given = False

        async def receive() -> Message:
            nonlocal given
            if given or self._body is None:
                message = await self._receive()
                self.gone |= message["type"] == "http.disconnect"
                self._body = self._body or message
            else:
                message = self._body
            given = True
            return message

        return receive

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self.refused = message["status"] >= 400 and not kind.startswith("application/json")
            self.begun, self.streams = not self.refused, kind.startswith("text/event-stream")
        if self.begun:
            self.ended |= message["type"] == "http.response.body" and not message.get("more_body", False)
            await self._send(message)
