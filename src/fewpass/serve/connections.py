"""Connections: how long one may stay open without a request, and which are closed when there are too many."""

from collections.abc import Collection
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fewpass.serve.errors import ApiError
from fewpass.serve.limits import Limits

HURRY = 3


class Connection(H11Protocol):
    """A connection whose idle time is limited, and whose protocol errors have the shape of the API's.

    It is idle before complete headers, between requests, and while the end of an answer is not read. There are twice
    `limits.connections`, so that as many are left where that many requests are being answered.
    """

    connections: set[Any]

    def __init__(self, limits: Limits, **given: Any):
        super().__init__(**given)
        self.limits, self.since, self.unsent = limits, self.loop.time(), 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > 2 * self.limits.connections:
            self._close_oldest(self.connections)
        if self.limits.per_address is not None and self.client:
            same = [other for other in self.connections if other.client and other.client[0] == self.client[0]]
            if len(same) > self.limits.per_address:
                self._close_oldest(same)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer is on its way already
            self.transport.abort()
            return
        answer = ApiError(400, "the request is not valid HTTP/1.1", code="invalid_http").response
        headers = [*answer.raw_headers, (b"connection", b"close")]
        head = h11.Response(status_code=answer.status_code, headers=headers, reason=b"Bad Request")
        for part in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(part))
        self.transport.close()

    @property
    def idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete or self.transport.is_closing()

    def close_if_late(self, now: float, patience: float) -> None:
        """Close it at once if it is idle for `patience` s, or nothing of an answer is read for `limits.stall` s."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self.unsent:
            self.unsent, self.since = unsent, now
        elif (unsent or self.idle) and now - self.since > (self.limits.stall if unsent else patience):
            self.abort()

    def abort(self) -> None:
        self.connections.discard(self)
        self.transport.abort()

    def _close_oldest(self, connections: Collection["Connection"]) -> None:
        """Close another one that has been without a whole request for longest; those that read an answer last."""
        without = [other for other in connections if (other.idle or other.cycle.more_body) and other is not self]
        if without:
            min(without, key=lambda other: (other.unsent > 0, other.since)).abort()


def close_late(connections: Collection[Connection], limits: Limits, now: float) -> None:
    """Close what is idle for `limits.stall` s, or a third of that where more than half of the places are taken."""
    idle = sum(connection.idle for connection in connections)
    patience = limits.stall / (HURRY if idle > limits.connections / 2 else 1)
    for connection in list(connections):
        connection.close_if_late(now, patience)
