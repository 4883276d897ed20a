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
from fewpass.serve.middleware import AdmissionMiddleware, cors_options, replayed

TRIES = 2  # a request that kills its replica must not kill them all
OPTIONS = "FEWPASS_GATEWAY"
REFUSED = ApiError(503, "no replica takes requests now", code="no_replica", headers={"Retry-After": "5"})
LOST = ApiError(503, "the replica was lost", code="replica_lost", headers={"Retry-After": "1"})


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
        """Send the answer of a replica. A try without one has lost its replica, unless the client has disconnected."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = streams = ended = refused = disconnected = False

        async def heard() -> Message:
            nonlocal disconnected
            message = await receive()
            disconnected |= message["type"] == "http.disconnect"
            return message

        async def answer(message: Message) -> None:
            nonlocal begun, streams, ended, refused
            if message["type"] == "http.response.start":
                kind = Headers(raw=message["headers"]).get("content-type", "")
                refused = message["status"] >= 400 and not kind.startswith("application/json")  # by Ray itself
                begun, streams = not refused, kind.startswith("text/event-stream")
            if begun:
                ended |= message["type"] == "http.response.body" and not message.get("more_body", False)
                await send(message)

        body = (await heard()).get("body", b"")
        for _ in range(TRIES):
            if not (begun or refused or disconnected):
                await self.app(dict(scope), replayed(body, heard), answer)
        if ended or disconnected:
            return
        if not begun:
            await (REFUSED if refused else LOST).response(scope, receive, send)
        elif streams:
            await send({"type": "http.response.body", "body": LOST.event.encode()})
