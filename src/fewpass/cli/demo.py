"""`fewpass demo`."""

import os
import socket
from typing import Annotated

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model
from fewpass.io.extra import check_installed
from fewpass.viz.progress import waiting

PORTS = range(7860, 7960)  # as Gradio's


def demo(
    model: Annotated[list[str] | None, o.option("NAME", "Model to choose on the page; may be repeated.")] = None,
    host: Annotated[str, o.option("ADDRESS", "Address to listen on; 0.0.0.0 lets other machines in.")] = o.LOCAL[0],
    port: Annotated[int | None, o.number("Port; by default the first free one from 7860 on.", None)] = None,
    place: o.Place = o.Place(),
) -> None:
    """Serve a page on which `ar` and another decoder draw the same prompt side by side. Ctrl-C ends it."""
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"a port must lie in 1 to 65535, got {port}")
    check_installed("demo", "gradio")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    load_torch()

    from fewpass.demo.comparison import Models

    with _listen(host, port) as listening:
        models = Models(model or ["emoji"], lambda name: open_model(name, place))
        models[models.names[0]].model.check_ready()  # errors of the first model come before the page opens

        with waiting("loading gradio"):
            from fewpass.demo.server import serve

        print(_url(listening), flush=True)
        if host not in o.LOCAL:
            print("every machine that can reach this one can use the page", flush=True)
        serve(models, listening)


def _listen(host: str, port: int | None) -> socket.socket:
    """Open a listening socket, on the first free one of `PORTS` by default. Raises ValueError with the reason."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in PORTS if port is None else (port,):
        try:
            return socket.create_server((host, number), family=family)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    raise ValueError(f"cannot listen on {host}{f':{port}' if port else ''}: {reason}")


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
