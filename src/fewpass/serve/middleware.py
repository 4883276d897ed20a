"""ASGI middleware around the application: access, size and time limits, metrics, origins."""

import asyncio
import hmac
import re
import time
from collections.abc import Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fewpass.core.messages import shown
from fewpass.serve.errors import ApiError
from fewpass.serve.limits import Limits
from fewpass.serve.metrics import Metrics

NOT_SUPPORTED = ("/v1/images/edits", "/v1/images/variations")
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:[0-9]+)?")


def check_key(key: str | None) -> None:
    """Raise ValueError for an API key that is empty or that no client could send."""
    if key is not None and not re.fullmatch("[!-~]+", key):
        what = "it is empty" if not key.strip() else "it has others"
        raise ValueError(f"an API key must consist of visible ASCII characters, and {what}: give another, or none")


def cors_options(origins: Sequence[str]) -> dict[str, Any]:
    """Options of Starlette's `CORSMiddleware` for web pages of these origins; "*" is any.

    Raises ValueError for a text that is not an origin.
    """
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"an origin must be * or like https://example.org, got {shown(origin)}")
    return {
        "allow_origins": list(origins),
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["*"],
        "expose_headers": ["Retry-After"],
    }


class AdmissionMiddleware:
    """Read each body before the application sees the request, within `limits.body` bytes and `limits.stall` seconds.

    Requests to /v1 need `key` as a bearer token, unless it is None. HEAD is answered as GET, whose body servers omit.
    The rest of the body of a rejected request is discarded by uvicorn.
    """

    def __init__(self, app: ASGIApp, key: str | None, limits: Limits):
        self.app, self.key, self.limits = app, key, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a whole request on, or reject it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        try:
            self._check(scope, Headers(scope=scope))
            body = await self._read(Request(scope, receive))
        except ApiError as error:
            await error.response(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            await self.app(scope, replayed(body, receive), send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise ApiError for a request that is rejected before its body is read."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))  # the application may be mounted below a path
        if self.key is not None and path.startswith("/v1") and not self._is_key(headers.get("authorization", "")):
            message = "give the server's API key as a bearer token"
            raise ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        if path.rstrip("/") in NOT_SUPPORTED:
            message = f"{path} is not supported: images are drawn from prompts, at /v1/images/generations"
            raise ApiError(404, message, code="not_supported")
        if "content-length" in headers and "transfer-encoding" in headers:
            message = "a request must have Content-Length or Transfer-Encoding, not both"
            raise ApiError(400, message, code="invalid_http", headers={"Connection": "close"})
        if int(headers.get("content-length", "0")) > self.limits.body:
            raise self._too_long()

    def _is_key(self, authorization: str) -> bool:
        """RFC 9110: the scheme in either case, then blanks, then the token."""
        scheme, _, token = authorization.partition(" ")
        given, due = token.strip(" \t").encode("latin-1"), (self.key or "").encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(given, due)

    async def _read(self, request: Request) -> bytes:
        """The whole body."""
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.stall):
                async for part in request.stream():
                    body += part
                    if len(body) > self.limits.body:
                        raise self._too_long()
        except TimeoutError:
            message = f"the body did not come within {self.limits.stall:g} s"
            raise ApiError(408, message, code="timeout") from None
        return bytes(body)

    def _too_long(self) -> ApiError:
        return ApiError(413, f"a body has at most {self.limits.body} bytes", code="body_too_large")


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body that has been read, and then the messages behind it."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        return next(messages, None) or await receive()

    return replay


class MetricsMiddleware:
    """Count and time requests. Endpoints are labelled by their routes, so that clients cannot make up labels."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), "499"  # for a client that disconnects before an answer

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            status = "500"
            raise
        finally:
            endpoint = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(endpoint, status).inc()
            self.metrics.request_seconds.observe(time.perf_counter() - started)
