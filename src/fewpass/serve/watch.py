"""Counts requests and times them, for Prometheus."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fewpass.serve.metrics import Metrics

GONE = "499"  # the client has gone before there was an answer


class Watch:
    """Endpoints are told apart by their routes, so that clients cannot make up names."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), GONE

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, note)
        except Exception:
            status = "500"
            raise
        finally:
            endpoint = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(endpoint, status).inc()
            self.metrics.request_seconds.observe(time.perf_counter() - started)
