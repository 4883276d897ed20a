"""Where the page is to be found."""

import os
import socket

PORTS = range(7860, 7960)  # the first that is free, as Gradio does it


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens; with a port of None, on the first of `PORTS` that is free.

    Raises ValueError saying why there is none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in PORTS if port is None else (port,):
        try:
            return socket.create_server((host, number), family=family)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    raise ValueError(f"cannot listen on {host}{f':{port}' if port else ''}: {reason}")


def url(listening: socket.socket) -> str:
    """What to type into a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
