"""What stands before the application: who may enter, how much they may bring, how long they may take."""

import asyncio
import hmac
import re
from collections import Counter
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fewpass.serve.errors import ApiError
from fewpass.serve.limits import Limits

PAUSE = 1.0  # seconds without more of a body that is not wanted, after which no more is waited for
UNWANTED = 8  # times the largest body: of one that is not wanted, so much is read
ABSENT = ("/v1/images/edits", "/v1/images/variations")


def check_key(key: str | None) -> None:
    """Raise ValueError for an API key that no client could send, or that keeps nobody out."""
    if key is not None and not re.fullmatch("[!-~]+", key):
        what = "it is empty" if not key.strip() else "it has others"
        raise ValueError(f"an API key must consist of visible ASCII characters, and {what}: give another, or none")


class Stalled(Exception):
    """The client does not read its answer."""


class Guard:
    """Reads each body before the application sees the request. Bearers of `key` alone come to /v1, if there is one.

    Bodies have at most `limits.body` bytes; they must come, and every part of an answer must go, within `limits.stall`
    s. At most `limits.connections` requests are answered at a time. HEAD is answered as GET, whose body servers omit.
    """

    def __init__(self, app: ASGIApp, key: str | None, limits: Limits):
        self.app, self.key, self.limits = app, key, limits
        self._requests: Counter[str] = Counter()  # being answered, by the address of the client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        hurry = self._hurrying(send)
        with suppress(Stalled):  # the server closes the connection
            try:
                self._check(scope, Headers(scope=scope))
                body = await self._read(scope, receive)
            except ApiError as error:
                answer = error.response
                if not await self._emptied(scope, receive):
                    answer.headers["Connection"] = "close"
                await answer(scope, receive, hurry)
            else:
                if body is not None:
                    await self._answer(scope, _replaying(body, receive), hurry)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only whole requests count: those that never become whole are not to take the places of others."""
        address = (scope.get("client") or ("",))[0]
        most, here = self.limits.per_address, self._requests[address]
        if self._requests.total() >= self.limits.connections or (most is not None and here >= most):
            message = "too many requests are being answered; try again in 5 s"
            error = ApiError(503, message, code="too_many_requests", headers={"Retry-After": "5"})
            await error.response(scope, receive, send)
            return
        self._requests[address] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._requests -= Counter({address: 1})  # forgets addresses with none

    def _check(self, scope: Scope, headers: Headers) -> None:
        """What can be said without reading the body."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))  # the application may be mounted somewhere
        if self.key is not None and path.startswith("/v1") and not self._knows_key(headers.get("authorization", "")):
            message = "give the server's API key as a bearer token"
            raise ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        if path.rstrip("/") in ABSENT:
            message = f"{path} is not supported: images are drawn from prompts, at /v1/images/generations"
            raise ApiError(404, message, code="not_supported")
        if "content-length" in headers and "transfer-encoding" in headers:
            message = "a request must have Content-Length or Transfer-Encoding, not both"
            raise ApiError(400, message, code="invalid_http", headers={"Connection": "close"})

    def _knows_key(self, authorization: str) -> bool:
        """RFC 9110: the scheme in either case, then blanks, then the token."""
        scheme, _, token = authorization.partition(" ")
        given, due = token.strip(" \t").encode("latin-1"), (self.key or "").encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(given, due)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None if the client has gone."""
        announced, body = int(Headers(scope=scope).get("content-length", "0")), bytearray()
        try:
            async with asyncio.timeout(self.limits.stall):
                while max(announced, len(body)) <= self.limits.body:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) <= self.limits.body and not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            message = f"the body did not come within {self.limits.stall:g} s"
            raise ApiError(408, message, code="timeout") from None
        raise ApiError(413, f"a body has at most {self.limits.body} bytes", code="body_too_large")

    async def _emptied(self, scope: Scope, receive: Receive) -> bool:
        """Read what is left of a body that is not wanted, within limits; whether that was all of it.

        A client that sends on while its connection is closed may lose the answer.
        """
        if "expect" in Headers(scope=scope):  # it has not begun to send
            return False
        left = UNWANTED * self.limits.body
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.stall):
                while left > 0:
                    message = await asyncio.wait_for(receive(), PAUSE)
                    if not message.get("more_body", False):
                        return True
                    left -= len(message["body"])
        return False

    def _hurrying(self, send: Send) -> Send:
        async def hurry(message: Message) -> None:
            try:
                await asyncio.wait_for(send(message), self.limits.stall)
            except TimeoutError:
                raise Stalled from None

        return hurry


def _replaying(body: bytes, receive: Receive) -> Receive:
    """What gives the body that has been read, and then goes on."""
    read = False

    async def again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
