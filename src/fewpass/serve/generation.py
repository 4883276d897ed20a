"""One HTTP request for images, from submission to its answer."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from PIL import Image

from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.io.png_metadata import png
from fewpass.serve.engine import Engine, Event
from fewpass.serve.errors import ApiError
from fewpass.serve.schema import (
    CompletedEvent,
    Format,
    GenerationRequest,
    ImageData,
    ImagesResponse,
    InputTokensDetails,
    PartialImageEvent,
    Usage,
)
from fewpass.viz.encode import encoded

DALL_E = ("dall-e-2", "dall-e-3")
EVENTS = "text/event-stream"
PING = 15.0  # seconds of silence after which a stream sends a comment
MOMENT = 0.2  # seconds after which a client that has disconnected is noticed


class Generation:
    """The images of one request while they are drawn, until `close`. Raises ApiError if the queue is full."""

    def __init__(self, engine: Engine, encoder: Executor, body: GenerationRequest, jobs: Sequence[Job]):
        self.engine, self.encoder, self.body, self.jobs = engine, encoder, body, jobs
        self.format: Format = body.output_format or "png"
        self.created, self.deadline = int(time.time()), time.monotonic() + engine.limits.timeout
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        previews = body.partial_images or 0
        self._request = engine.submit(jobs, previews, lambda e: loop.call_soon_threadsafe(self._events.put_nowait, e))

    async def close(self) -> None:
        """Cancel the unfinished images."""
        self.engine.cancel(self._request)

    async def answer(self, is_disconnected: Callable[[], Awaitable[bool]]) -> ImagesResponse | None:
        """All images, once the last is finished, as `data:` URLs or in base64; None if the client disconnects first.

        Raises ApiError.
        """
        done: dict[int, CompletedEvent] = {}
        while len(done) < len(self.jobs):
            index, drawn = await self._next(MOMENT) or (0, None)
            if isinstance(drawn, Result):
                done[index] = await self._completed(index, drawn)
            elif await is_disconnected():
                return None
        return ImagesResponse(
            created=self.created,
            data=[self._data(done[i]) for i in range(len(self.jobs))],
            size=done[0].size,
            output_format=self.format,
            usage=self._usage(self.jobs),
            ignored=self.body.ignored(done[0].size),
        )

    def _data(self, done: CompletedEvent) -> ImageData:
        """An image of the answer: a `data:` URL or base64, by default as OpenAI's model of the same name."""
        default = "url" if self.engine.pipe.model.name in DALL_E else "b64_json"
        image = {"b64_json": done.b64_json}
        if (self.body.response_format or default) == "url":
            image = {"url": f"data:image/{self.format};base64,{done.b64_json}"}
        return ImageData(**image, seed=done.seed, passes=done.passes)

    async def events(self) -> AsyncIterator[str]:
        """The answer as server-sent events, each image once it is finished. Errors are events too."""
        previews, unfinished = [0] * len(self.jobs), len(self.jobs)
        try:
            while unfinished:
                event = await self._next(PING)
                if event is None:
                    yield ": still here\n\n"
                    continue
                index, drawn = event
                if isinstance(drawn, Result):
                    yield _sse(await self._completed(index, drawn))
                    unfinished -= 1
                else:
                    shared = await self._shared(index, drawn)
                    yield _sse(PartialImageEvent(**shared, partial_image_index=previews[index]))
                    previews[index] += 1
        except ApiError as error:
            yield error.event

    async def _next(self, patience: float) -> tuple[int, Image.Image | Result] | None:
        """The number of an image, and its preview or result; None after `patience` seconds. Raises ApiError."""
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

    async def _completed(self, index: int, result: Result) -> CompletedEvent:
        return CompletedEvent(
            **await self._shared(index, result.images[0], result.settings[0]),
            usage=self._usage(self.jobs[index : index + 1]),
            seed=result.seeds[0],
            passes=int(result.trace.passes[0]),
        )

    async def _shared(self, index: int, image: Image.Image, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """The fields of all events."""
        quality, loop = self.body.output_compression, asyncio.get_running_loop()
        size = f"{image.width}x{image.height}"
        return {
            "b64_json": await loop.run_in_executor(self.encoder, encode, image, self.format, quality, settings),
            "created_at": int(time.time()),
            "size": size,
            "output_format": self.format,
            "image_index": index,
            "ignored": self.body.ignored(size),
        }

    def _usage(self, jobs: Sequence[Job]) -> Usage:
        text, image = sum(len(job.rows[0]) for job in jobs), sum(job.grid.size for job in jobs)
        details = InputTokensDetails(text_tokens=text)
        return Usage(input_tokens=text, output_tokens=image, total_tokens=text + image, input_tokens_details=details)


def encode(image: Image.Image, form: Format, quality: int | None, settings: dict[str, Any] | None) -> str:
    """An image file in base64. A PNG carries the settings that draw the image again."""
    if form == "png" and settings is not None:
        data = png(image, settings)
    else:
        data = encoded(image, form, quality=100 if quality is None else quality)  # which PNG does not have
    return base64.b64encode(data).decode()


def _sse(event: PartialImageEvent | CompletedEvent) -> str:
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n"
