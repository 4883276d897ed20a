"""The ASGI application: routes and middleware."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Security
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from fastapi.security import HTTPBearer
from starlette.background import BackgroundTask
from starlette.middleware.cors import CORSMiddleware

from fewpass import __version__
from fewpass.core.messages import shown
from fewpass.io.atomic import located
from fewpass.pipeline import Pipeline
from fewpass.serve.engine import Engine
from fewpass.serve.errors import ApiError, install
from fewpass.serve.generation import EVENTS, Generation
from fewpass.serve.limits import Limits
from fewpass.serve.metrics import Metrics
from fewpass.serve.middleware import AdmissionMiddleware, MetricsMiddleware, check_key, cors_options
from fewpass.serve.requests import RequestParser
from fewpass.serve.schema import ErrorBody, GenerationRequest, ImagesResponse, ModelCard, ModelList

UNCACHED = {"Cache-Control": "no-store"}
OK = {"status": "ok"}


def create_app(
    pipe: Pipeline,
    limits: Limits | None = None,
    api_key: str | None = None,
    name: str | None = None,
    cors: Sequence[str] = (),
    metrics: Metrics | None = None,
) -> FastAPI:
    """Create an ASGI application that draws with `pipe`, which must not be used elsewhere from then on.

    Args:
        pipe: The model.
        limits: Limits of requests, connections and times.
        api_key: Bearer token that everything under /v1 requires; None requires none.
        name: Name of the model for clients; by default its own, of a folder the last part of its path.
        cors: Origins of web pages that may use the application from browsers; "*" is any.
        metrics: Metrics of /metrics.

    Returns:
        The application. `app.state.engine` is its `Engine`, which starts and stops with it.

    Raises:
        ValueError: `api_key` or an origin is not valid.
    """
    check_key(api_key)
    limits, metrics = limits or Limits(), metrics or Metrics()
    pipe.model.name = name or public_name(pipe.model.name)
    engine = Engine(pipe, limits, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        await asyncio.to_thread(engine.close)

    app = FastAPI(title="fewpass", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.engine = engine
    install(app)
    app.include_router(_v1(pipe, engine, api_key is not None))
    app.include_router(_health(engine, metrics))
    app.add_middleware(AdmissionMiddleware, key=api_key, limits=limits)
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    if cors:
        app.add_middleware(CORSMiddleware, **cors_options(cors))
    return app


def public_name(name: str) -> str:
    """The model's name for clients: of a folder only the last part, so that no answer shows a path of the server."""
    folder = located(name)
    return folder.resolve().name if folder.is_dir() else name


def _v1(pipe: Pipeline, engine: Engine, keyed: bool) -> APIRouter:
    key = [Security(HTTPBearer(auto_error=False))] if keyed else []  # for openapi.json; the middleware checks the key
    api = APIRouter(prefix="/v1", dependencies=key, responses=_errors(*([401] if keyed else []), 408, 413))
    parser, parsing = RequestParser(pipe.model, engine.limits), ThreadPoolExecutor(1, "fewpass-parser")
    encoder = ThreadPoolExecutor(2, "fewpass-encoder")  # tokenizers, above, are not thread-safe
    card = ModelCard(id=pipe.model.name, created=int(time.time()))

    @api.post(
        "/images/generations",
        response_model=ImagesResponse,
        response_model_exclude_none=True,
        responses=_errors(400, 404, 429, 500, 503, 504) | {200: {"content": {EVENTS: {}}}},
    )
    async def generate(body: GenerationRequest, request: Request) -> Any:
        jobs = await asyncio.get_running_loop().run_in_executor(parsing, parser.jobs, body)
        generation = Generation(engine, encoder, body, jobs)
        if body.stream:  # Starlette ends it when the client disconnects, and runs the background task then too
            close = BackgroundTask(generation.close)
            return StreamingResponse(generation.events(), headers=UNCACHED, media_type=EVENTS, background=close)
        try:
            return await generation.answer(request.is_disconnected) or Response(status_code=499)
        finally:
            await generation.close()

    @api.get("/models")
    async def models() -> ModelList:
        return ModelList(data=[card])

    @api.get("/models/{model:path}", responses=_errors(404))
    async def model(model: str) -> ModelCard:
        if model != card.id:
            raise ApiError(404, f"there is no model {shown(model)}", param="model", code="model_not_found")
        return card

    return api


def _health(engine: Engine, metrics: Metrics) -> APIRouter:
    api = APIRouter()

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Liveness: the process answers."""
        return OK

    @api.get("/health", responses=_errors(503))
    @api.get("/readyz", responses=_errors(503))
    async def readyz() -> dict[str, str]:
        """Readiness: the server draws and is not stopping."""
        if not engine.ready:
            raise ApiError(503, "the server does not draw now", code="not_ready")
        return OK

    @api.get("/metrics", response_class=PlainTextResponse)
    def prometheus() -> Response:
        return Response(metrics.text(), media_type=metrics.content_type)

    return api


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorBody} for status in statuses}
