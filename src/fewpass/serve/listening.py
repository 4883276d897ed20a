"""Where a server is to be found."""

import socket
from contextlib import ExitStack


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
