"""Middleware of Ray's HTTP proxy, in its process."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fewpass.serve.errors import ApiError
from fewpass.serve.limits import Limits
from fewpass.serve.middleware import AdmissionMiddleware, cors_options

TRIES = 2  # a request that kills its replica must not kill them all
OPTIONS = "FEWPASS_GATEWAY"


def environment(limits: Limits, cors: Sequence[str]) -> dict[str, str]:
    """Environment variables that make Ray's proxies use `middlewares`. The API key is not among them."""
    return {
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{__name__}:{middlewares.__name__}",
        OPTIONS: json.dumps({"limits": asdict(limits), "cors": cors}),
    }


def middlewares() -> list[Middleware]:
    """The middleware of a proxy, innermost first."""
    options = json.loads(os.environ[OPTIONS])
    browsers = [Middleware(CORSMiddleware, **cors_options(options["cors"]))] if options["cors"] else []
    admission = Middleware(AdmissionMiddleware, key=None, limits=Limits(**options["limits"]))
    return [Middleware(Gateway), admission, *browsers]


class Gateway:
    """Retry a request whose replica dies before it answers, and give Ray's own errors the API's shape.

    Expects whole bodies, as `AdmissionMiddleware` passes them on.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(receive, send)
        for _ in range(TRIES):
            await self.app(dict(scope), exchange.receiver(), exchange.send)
            if exchange.begun or exchange.refused or exchange.disconnected:
                break
        if exchange.disconnected or exchange.ended:
            return
        if exchange.refused:
            error = ApiError(503, "no replica takes requests now", code="no_replica", headers={"Retry-After": "5"})
        else:
            error = ApiError(503, "the replica was lost", code="replica_lost", headers={"Retry-After": "1"})
        if not exchange.begun:
            await error.response(scope, receive, send)
        elif exchange.streams:
            await send({"type": "http.response.body", "body": error.event.encode()})


class Exchange:
    """A request and the state of its answer.

    The answer has `begun`, it `streams` events, it has `ended`; Ray itself has `refused` the request; the client has
    `disconnected`. If none of these holds after a try, the replica is lost.
    """

    def __init__(self, receive: Receive, send: Send):
        self._receive, self._send = receive, send
        self._body: Message | None = None
        self.begun = self.streams = self.ended = self.refused = self.disconnected = False

    def receiver(self) -> Receive:
        """A `receive` for one try: the body first, then the messages behind it."""
        given = False

        async def receive() -> Message:
            nonlocal given
            if given or self._body is None:
                message = await self._receive()
                self.disconnected |= message["type"] == "http.disconnect"
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
