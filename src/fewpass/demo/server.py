"""The page, served."""

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

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


def serve(shelf: Shelf, dtype: str | None, host: str, port: int | None) -> tuple[gr.Blocks, str]:
    """Start to serve the page, from a thread, and return it with its address; `close()` it in the end.

    A port of None is the first from 7860 on that is free. Raises ValueError if none can be had.
    """
    page = build(shelf, dtype)
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            share=False,
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            max_file_size=1,  # nobody has anything to upload
            favicon_path=MARK,
            css_paths=Path(__file__).with_name("style.css"),
            theme=gr.themes.Base(font=SANS, font_mono=MONO),
            app_kwargs={"middleware": [Middleware(Closed)], "docs_url": None},
        )
    except OSError:
        page.close()
        raise ValueError(f"cannot listen on {host}" + (f":{port}" if port else "")) from None
    return page, address


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
