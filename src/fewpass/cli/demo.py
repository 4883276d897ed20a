"""`fewpass demo`."""

import os
from typing import Annotated

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model, url
from fewpass.io.extra import check_installed
from fewpass.viz.progress import waiting


def demo(
    model: Annotated[list[str] | None, o.option("NAME", "Model to choose on the page; may be repeated.")] = None,
    host: Annotated[str, o.option("ADDRESS", "Address to listen on; 0.0.0.0 lets other machines in.")] = o.LOCAL[0],
    port: Annotated[int, o.number("Port, 0 for any free one.", None)] = 7860,
    place: o.Place = o.Place(),
) -> None:
    """Serve a page on which `ar` and another decoder draw the same prompt side by side. Ctrl-C ends it."""
    check_installed("demo", "gradio")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    load_torch()

    from fewpass.demo.comparison import Models
    from fewpass.serve.connections import listen

    with listen(host, port) as listening:
        models = Models(model or ["emoji"], lambda name: open_model(name, place))
        models[models.names[0]].model.check_ready()  # errors of the first model come before the page opens

        with waiting("loading gradio"):
            from fewpass.demo.server import serve

        print(f"{url(host, listening)}/", flush=True)
        if host not in o.LOCAL:
            print("every machine that can reach this one can use the page", flush=True)
        serve(models, listening)
