"""The page, served."""

import socket
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from fewpass.demo.mark import MARK
from fewpass.demo.page import build
from fewpass.demo.shelf import Shelf

SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "Cascadia Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")
POLICY = (  # whatever the page's libraries would like: browsers ask nobody but us
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'self'"
)
HEADERS = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]


def serve(shelf: Shelf, dtype: str | None, listening: socket.socket) -> None:
    """Serve the page to whoever connects to `listening`, until this is interrupted. Loads the first model.

    Not by Gradio's own `launch`: that asks itself first, and gives up on slow machines and behind proxies.
    """
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        build(shelf, dtype),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        max_file_size=1,  # nobody has anything to upload
        favicon_path=MARK,
        css_paths=Path(__file__).with_name("style.css"),
        theme=gr.themes.Base(font=SANS, font_mono=MONO),
    )
    config = uvicorn.Config(Closed(app), log_level="critical", timeout_graceful_shutdown=2)  # open tabs do not go away
    uvicorn.Server(config).run(sockets=[listening])


class Closed:
    """Every answer of an ASGI application tells the browser to load nothing from elsewhere."""

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        await self.app(scope, receive, told if scope["type"] == "http" else send)
