"""`fewpass demo`"""

import os
from importlib.util import find_spec
from typing import Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model, waiting

LOCAL = ("127.0.0.1", "localhost", "::1")


def demo(
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="To choose from on the page; may be given several times.")
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="0.0.0.0 lets other machines in.")] = LOCAL[0],
    port: Annotated[
        int | None, typer.Option(parser=o.whole, metavar="N", help="By default the first from 7860 on that is free.")
    ] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    compile: o.Compile = False,
) -> None:
    """Serve a page on which `ar` and another decoder draw the same prompt side by side. Ctrl-C ends it."""
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"a port lies in 1 to 65535, not {port}")
    if find_spec("gradio") is None:
        raise ValueError('the demo is a page made with Gradio: pip install "fewpass[demo]"')
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    load_torch()

    from fewpass.demo.address import listen, url
    from fewpass.demo.shelf import Shelf

    with listen(host, port) as listening:
        shelf = Shelf(model or ["emoji"], lambda name: open_model(name, device, dtype, compile))
        shelf[shelf.names[0]].model.check_ready()  # what cannot be loaded, or cannot draw, is said now

        with waiting("loading gradio"):
            from fewpass.demo.server import serve

        print(url(listening), flush=True)
        if host not in LOCAL:
            print("whoever can reach this machine can use the page", flush=True)
        serve(shelf, dtype, listening)
