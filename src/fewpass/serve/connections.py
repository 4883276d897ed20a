"""Sockets and connections: how many there are, and how long one may be idle."""

import socket
from collections.abc import Collection
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from fewpass.core.messages import shown
from fewpass.serve.limits import CONNECTIONS, Limits

BACKLOG = 256  # connections that the system holds until the server accepts them
OTHER_FILES = 512  # with the backlog


def listen(host: str, port: int) -> socket.socket:
    """Listen on `host` and `port`; port 0 is any free one. Raises ValueError if that is not possible."""
    if not 0 <= port < 1 << 16:
        raise ValueError(f"port must lie in 0..65535, got {port}")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
    except UnicodeError:
        reason = "this is not the name of a host"
    raise ValueError(f"cannot listen on {shown(host)}, port {port}: {reason}")


def most_connections() -> int:
    """The number of connections that the process can hold open.

    Each is an open file: the process's limit of open files is raised as far as allowed.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return CONNECTIONS
    due = CONNECTIONS + OTHER_FILES
    most, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most >= due:
        return CONNECTIONS
    most = due if allowed == resource.RLIM_INFINITY else min(due, allowed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, allowed))
    return max(most - OTHER_FILES, 16)


class Connection(H11Protocol):
    """A connection of uvicorn's with a limited idle time.

    It is idle before complete headers, between requests, and while the end of an answer is not read. At most
    `limits.connections` are open: a further one takes the slot of the one without a whole request for longest.
    """

    connections: set[Any]

    def __init__(self, limits: Limits, **given: Any):
        super().__init__(**given)
        self.limits, self.since, self.unsent = limits, self.loop.time(), 0

    def connection_made(self, transport: Any) -> None:
        """Close another connection if there are too many, in all or from the client's address."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._close_oldest(self.connections)
        if self.limits.max_per_address is not None and self.client:
            same = [other for other in self.connections if other.client and other.client[0] == self.client[0]]
            if len(same) > self.limits.max_per_address:
                self._close_oldest(same)

    def on_response_complete(self) -> None:
        """Begin to count the idle time."""
        super().on_response_complete()
        self.since = self.loop.time()

    @property
    def idle(self) -> bool:
        """Whether no request is being read or answered."""
        return self.cycle is None or self.cycle.response_complete or self.transport.is_closing()

    def close_if_late(self, now: float) -> None:
        """Close the connection if it is idle, or the client reads nothing, for `limits.stall` s."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self.unsent:
            self.unsent, self.since = unsent, now
        elif (unsent or self.idle) and now - self.since > self.limits.stall:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self.connections.discard(self)
        self.transport.abort()

    def _close_oldest(self, connections: Collection["Connection"]) -> None:
        """Close the connection that is the longest without a whole request; a client that reads an answer comes last.

        If all others are being answered, this one is closed.
        """
        without = [other for other in connections if (other.idle or other.cycle.more_body) and other is not self]
        min(without, key=lambda other: (other.unsent > 0, other.since), default=self).abort()
