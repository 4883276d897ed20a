"""Sockets and connections: how many there are, and how long one may be idle."""

import socket
from collections.abc import Collection
from contextlib import ExitStack
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fewpass.core.messages import shown
from fewpass.serve.errors import ApiError
from fewpass.serve.limits import CONNECTIONS, Limits

BACKLOG = 256  # connections that the system holds until the server accepts them
OTHER_FILES = 256
HURRY = 3


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket to `host` and `port`; port 0 is any free one. Raises ValueError if that is not possible."""
    if not 0 <= port < 1 << 16:  # getaddrinfo would take it modulo that
        raise ValueError(f"port must lie in 0..65535, got {port}")
    try:
        (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with ExitStack() as unless_bound:
            bound = unless_bound.enter_context(socket.socket(family))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            unless_bound.pop_all()
            return bound
    except OSError as error:
        raise ValueError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    except UnicodeError:
        raise ValueError(f"cannot listen on {shown(host)}: this is not the name of a host") from None


def most_connections() -> int:
    """The number of requests that the process can answer at a time, with twice as many connections.

    Each connection is an open file: the process's limit of open files is raised as far as allowed.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return CONNECTIONS
    due = 2 * CONNECTIONS + BACKLOG + OTHER_FILES
    most, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < due:
        most = due if allowed == resource.RLIM_INFINITY else min(due, allowed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, allowed))
    if most == resource.RLIM_INFINITY or most >= due:
        return CONNECTIONS
    return max((most - BACKLOG - OTHER_FILES) // 2, 16)


class Connection(H11Protocol):
    """A connection of uvicorn's with a limited idle time, and protocol errors in the API's shape.

    It is idle before complete headers, between requests, and while the end of an answer is not read. Twice
    `limits.connections` are open at most, so that as many are left while that many requests are being answered.
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
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer has begun already
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
        """Close the connection if it is idle for `patience` s, or the client reads nothing for `limits.stall` s."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self.unsent:
            self.unsent, self.since = unsent, now
        elif (unsent or self.idle) and now - self.since > (self.limits.stall if unsent else patience):
            self.abort()

    def abort(self) -> None:
        self.connections.discard(self)
        self.transport.abort()

    def _close_oldest(self, connections: Collection["Connection"]) -> None:
        """Close another connection, the longest without a whole request; a client that reads an answer comes last."""
        without = [other for other in connections if (other.idle or other.cycle.more_body) and other is not self]
        if without:
            min(without, key=lambda other: (other.unsent > 0, other.since)).abort()


def close_late(connections: Collection[Connection], limits: Limits, now: float) -> None:
    """Close connections idle for `limits.stall` s; for a third of that if more than `limits.connections` / 2 are."""
    idle = sum(connection.idle for connection in connections)
    patience = limits.stall / (HURRY if idle > limits.connections / 2 else 1)
    for connection in list(connections):
        connection.close_if_late(now, patience)
