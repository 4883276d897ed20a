"""The page, served."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response

from fewpass.demo.mark import MARK
from fewpass.demo.page import build
from fewpass.demo.shelf import Shelf

SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "Cascadia Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")
POLICY = (  # whatever the page's libraries would like: browsers ask nobody but us
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
)


def serve(shelf: Shelf, dtype: str | None, host: str, port: int | None) -> tuple[gr.Blocks, str]:
    """Start to serve the page, from a thread, and return it with its address; `close()` it in the end.

    A port of None is the first from 7860 on that is free. Raises ValueError if it cannot be had.
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
            app_kwargs={"middleware": [Middleware(BaseHTTPMiddleware, dispatch=_closed)], "docs_url": None},
        )
    except OSError:
        page.close()
        raise ValueError(f"cannot listen on {host}" + (f":{port}" if port else "")) from None
    return page, address


async def _closed(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Every answer tells the browser to load nothing from elsewhere."""
    response: Any = await go_on(request)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
