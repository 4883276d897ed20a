"""The application: its routes and what surrounds them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Security
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from fewpass import __version__
from fewpass.core.messages import shown
from fewpass.pipeline import Pipeline
from fewpass.serve.alias import public_name
from fewpass.serve.cors import cors_options
from fewpass.serve.engine import Engine
from fewpass.serve.errors import ApiError, ErrorBody, install
from fewpass.serve.generation import Generation
from fewpass.serve.guard import Guard, check_key
from fewpass.serve.limits import Limits
from fewpass.serve.metrics import Metrics
from fewpass.serve.presence import unless_gone
from fewpass.serve.reading import Reader
from fewpass.serve.schema import (
    CompletedEvent,
    GenerationRequest,
    ImagesResponse,
    ModelCard,
    ModelList,
    PartialImageEvent,
    Status,
)
from fewpass.serve.watch import Watch

GONE = 499  # what nobody will read


def create_app(
    pipe: Pipeline,
    limits: Limits | None = None,
    api_key: str | None = None,
    name: str | None = None,
    metrics: Metrics | None = None,
    cors: Sequence[str] = (),
) -> FastAPI:
    """An ASGI application that draws with `pipe`, which is nobody else's from now on.

    `name` is what clients call the model, by default its own, without the path of a folder; `metrics` are kept here,
    and what /metrics says is theirs. Pages of the origins `cors`, "*" for any, may use the application from browsers.
    `app.state.engine` is the `Engine`; it starts and stops with the application.

    Raises ValueError for a key that no client could send, or what is no origin.
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
    app.include_router(_images(pipe, engine, api_key is not None))
    app.include_router(_health(engine, metrics))
    app.add_middleware(Guard, key=api_key, limits=limits)
    app.add_middleware(Watch, metrics=metrics)
    if cors:
        app.add_middleware(CORSMiddleware, **cors_options(cors))
    return app


class EventStream(StreamingResponse):
    """The events of a generation, as long as somebody listens."""

    media_type = "text/event-stream"

    def __init__(self, generation: Generation):
        super().__init__(generation.events(), headers={"Cache-Control": "no-store"})
        self.generation = generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.generation:
            await unless_gone(receive, self.stream_response(send))


def _images(pipe: Pipeline, engine: Engine, keyed: bool) -> APIRouter:
    key = [Security(HTTPBearer(auto_error=False))] if keyed else []  # for the document; the guard checks it
    api = APIRouter(prefix="/v1", dependencies=key, responses=_errors(*([401] if keyed else []), 408, 413))
    reader, reading = (
        Reader(pipe.model, engine.limits),
        ThreadPoolExecutor(1, "fewpass-reader"),
    )  # tokenizers are not for several threads at once
    encoder = ThreadPoolExecutor(2, "fewpass-encoder")
    card = ModelCard(id=pipe.model.name, created=int(time.time()))

    @api.post(
        "/images/generations",
        response_model=ImagesResponse,
        response_model_exclude_none=True,
        responses=_errors(400, 404, 429, 500, 503, 504) | _events(),
    )
    async def generate(body: GenerationRequest, request: Request) -> Any:
        loop = asyncio.get_running_loop()
        jobs = await loop.run_in_executor(reading, reader.jobs, body)
        generation = Generation(engine, encoder, body, jobs)
        if body.stream:
            return EventStream(generation)
        async with generation:
            return await unless_gone(request.receive, generation.answer()) or Response(status_code=GONE)

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
    async def healthz() -> Status:
        """The process answers."""
        return Status()

    @api.get("/health", responses=_errors(503))
    @api.get("/readyz", responses=_errors(503))
    async def readyz() -> Status:
        """It also draws, and is not about to stop."""
        if not engine.ready:
            raise ApiError(503, "the server does not draw now", code="not_ready")
        return Status()

    @api.get("/metrics", response_class=PlainTextResponse)
    def prometheus() -> Response:
        return Response(metrics.text(), media_type=metrics.content_type)

    return api


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorBody} for status in statuses}


def _events() -> dict[int | str, dict[str, Any]]:
    """For the document: what a stream consists of."""
    kinds = [kind.model_json_schema() for kind in (PartialImageEvent, CompletedEvent)]
    return {200: {"content": {EventStream.media_type: {"schema": {"type": "string", "x-events": kinds}}}}}
