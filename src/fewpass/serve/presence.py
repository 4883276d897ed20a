"""Work that is worth doing only while somebody waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

Answer = TypeVar("Answer")


async def unless_gone(receive: Receive, answer: Coroutine[Any, Any, Answer]) -> Answer | None:
    """The answer; or None as soon as the client has gone, and the answer is cancelled."""
    work, gone = asyncio.create_task(answer), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        return await work if work.done() else None
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
