"""What stands before the application: who may enter, how much they may bring, how long they may take."""

import asyncio
import hmac
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fewpass.serve.errors import ApiError


class Stalled(Exception):
    """The client does not read its answer."""


class Guard:
    """Reads each body before the application sees the request. Bearers of `key` alone come to /v1, if there is one.

    Bodies have at most `body` bytes; every part of one must come, and every part of an answer go, within `stall` s.
    """

    def __init__(self, app: ASGIApp, key: str | None, body: int, stall: float):
        self.app, self.key, self.body, self.stall = app, key, body, stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check_key(scope)
            body = await self._read(scope, receive)
        except ApiError as error:
            await error.response(scope, receive, send)
            return
        if body is not None:
            with suppress(Stalled):  # the server closes the connection
                await self.app(scope, _replaying(body, receive), self._hurrying(send))

    def _check_key(self, scope: Scope) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))  # the application may be mounted somewhere
        if self.key is None or not path.startswith("/v1"):
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, b"Bearer " + self.key.encode()):
            headers = {"WWW-Authenticate": "Bearer"}
            raise ApiError(401, "give the server's API key as a bearer token", code="invalid_api_key", headers=headers)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None if the client has gone."""
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        body = bytearray()
        while int(announced) <= self.body and len(body) <= self.body:
            try:
                message = await asyncio.wait_for(receive(), self.stall)
            except TimeoutError:
                raise ApiError(408, f"no more of the body came within {self.stall:g} s", code="timeout") from None
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) <= self.body and not message.get("more_body", False):
                return bytes(body)
        raise ApiError(413, f"a body has at most {self.body} bytes", code="body_too_large")

    def _hurrying(self, send: Send) -> Send:
        async def hurry(message: Message) -> None:
            try:
                await asyncio.wait_for(send(message), self.stall)
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
