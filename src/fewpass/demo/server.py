"""The web server of the page."""

import socket
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from fewpass.demo.comparison import Models
from fewpass.demo.page import MARK, build

SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "Cascadia Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")
HEADERS = {  # browsers load nothing from other hosts, even where the page's libraries refer to them
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
}


def serve(models: Models, listening: socket.socket) -> None:
    """Load the first model, and serve the page on a listening socket until interrupted.

    Gradio's own `launch` connects to itself first, and gives up on slow machines and behind proxies.
    """
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        build(models),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        max_file_size=1,  # the page has no uploads
        favicon_path=MARK,
        css_paths=Path(__file__).with_name("style.css"),
        theme=gr.themes.Base(font=SANS, font_mono=MONO),
    )

    @app.middleware("http")
    async def add_headers(request: Any, answer: Any) -> Any:
        response = await answer(request)
        response.headers.update(HEADERS)
        return response

    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2)  # of open tabs
    uvicorn.Server(config).run(sockets=[listening])
