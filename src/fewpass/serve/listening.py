"""Where a server is to be found, and by how many."""

import socket
from contextlib import ExitStack

from fewpass.core.messages import shown
from fewpass.serve.limits import CONNECTIONS

BACKLOG = 256  # connections that may be accepted before others are closed for them
OTHER_FILES = 256


def listen(host: str, port: int) -> socket.socket:
    """A socket for connections to `host` and `port`, 0 for any port. Raises ValueError saying why there is none."""
    if not 0 <= port < 1 << 16:  # getaddrinfo would take it modulo that
        raise ValueError(f"port must lie in 0..65535, not {port}")
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
        raise ValueError(f"cannot listen on {shown(host)}: this is no name of a host") from None


def connections() -> int:
    """How many requests can be answered at a time, with twice as many connections: all of them are open files.

    Raises the process's own limit of open files as far as it may.
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
