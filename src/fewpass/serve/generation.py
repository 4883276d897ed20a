"""One request for images, from its jobs to its answer."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from typing import Any

from PIL import Image

from fewpass.engine.request import Job
from fewpass.serve.encoding import encoded
from fewpass.serve.engine import Engine
from fewpass.serve.errors import ApiError
from fewpass.serve.order import Drawn, Event, Preview
from fewpass.serve.schema import (
    CompletedEvent,
    Format,
    GenerationRequest,
    ImageData,
    ImagesResponse,
    PartialImageEvent,
    Usage,
)

DALL_E = ("dall-e-2", "dall-e-3")
PING = 15.0  # seconds of silence after which a stream says that it is alive


class Generation(AbstractAsyncContextManager["Generation"]):
    """The images of one request while they are drawn. Leaving the context forgets what is not finished.

    Raises ApiError if there is no room for them.
    """

    def __init__(self, engine: Engine, encoder: Executor, body: GenerationRequest, jobs: Sequence[Job]):
        self.engine, self.encoder, self.body, self.jobs = engine, encoder, body, jobs
        self.form: Format = body.output_format or "png"
        self.created, self.deadline = int(time.time()), time.monotonic() + engine.limits.timeout
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        previews = body.partial_images or 0
        self._order = engine.submit(jobs, previews, lambda e: loop.call_soon_threadsafe(self._events.put_nowait, e))

    async def __aexit__(self, *exception: object) -> None:
        self.engine.cancel(self._order)

    async def answer(self) -> ImagesResponse:
        """All images, when the last is finished, as `data:` URLs or in base64. Raises ApiError."""
        images: dict[int, ImageData] = {}
        size = ""
        while len(images) < len(self.jobs):
            event = await self._next()
            if isinstance(event, Drawn):
                result = event.result
                size = _size(result.images[0])
                data = await self._encode(result.images[0], result.settings[0])
                images[event.index] = ImageData(
                    b64_json=None if self._as_url else data,
                    url=f"data:image/{self.form};base64,{data}" if self._as_url else None,
                    seed=result.seeds[0],
                    passes=int(result.trace.passes[0]),
                )
        return ImagesResponse(
            created=self.created,
            data=[images[i] for i in range(len(self.jobs))],
            size=size,
            output_format=self.form,
            usage=self._usage(self.jobs),
            ignored=self.body.ignored(size),
        )

    @property
    def _as_url(self) -> bool:
        """What OpenAI's models of these names do by default."""
        default = "url" if self.engine.pipe.model.name in DALL_E else "b64_json"
        return (self.body.response_format or default) == "url"

    async def events(self) -> AsyncIterator[str]:
        """The answer as server-sent events, images as they are finished. Errors are events too."""
        partial = [0] * len(self.jobs)
        unfinished = len(self.jobs)
        try:
            while unfinished:
                event = await self._next(PING)
                if event is None:
                    yield ": still here\n\n"
                elif isinstance(event, Preview):
                    yield _sse(await self._partial(event, partial[event.index]))
                    partial[event.index] += 1
                else:
                    yield _sse(await self._completed(event))
                    unfinished -= 1
        except ApiError as error:
            yield error.event

    async def _next(self, patience: float = math.inf) -> Preview | Drawn | None:
        """What happens next; None if nothing does for `patience` seconds."""
        left = self.deadline - time.monotonic()
        try:
            event = await asyncio.wait_for(self._events.get(), min(left, patience))
        except TimeoutError:
            if patience < left:
                return None
            seconds = self.engine.limits.timeout
            raise ApiError(504, f"not finished after {seconds:g} s; given up", code="timeout") from None
        if isinstance(event, ApiError):
            raise event
        return event

    async def _partial(self, event: Preview, number: int) -> PartialImageEvent:
        return PartialImageEvent(
            b64_json=await self._encode(event.image, None),
            partial_image_index=number,
            created_at=int(time.time()),
            size=_size(event.image),
            output_format=self.form,
            image_index=event.index,
            ignored=self.body.ignored(_size(event.image)),
        )

    async def _completed(self, event: Drawn) -> CompletedEvent:
        result = event.result
        return CompletedEvent(
            b64_json=await self._encode(result.images[0], result.settings[0]),
            created_at=int(time.time()),
            size=_size(result.images[0]),
            output_format=self.form,
            usage=self._usage(self.jobs[event.index : event.index + 1]),
            image_index=event.index,
            ignored=self.body.ignored(_size(result.images[0])),
            seed=result.seeds[0],
            passes=int(result.trace.passes[0]),
        )

    async def _encode(self, image: Image.Image, settings: dict[str, Any] | None) -> str:
        loop = asyncio.get_running_loop()
        compression = self.body.output_compression
        return await loop.run_in_executor(self.encoder, encoded, image, self.form, compression, settings)

    def _usage(self, jobs: Sequence[Job]) -> Usage:
        return Usage.of(sum(len(job.rows[0]) for job in jobs), sum(job.grid.size for job in jobs))


def _size(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"


def _sse(event: PartialImageEvent | CompletedEvent) -> str:
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n"
