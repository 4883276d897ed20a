"""Load on `fewpass serve`: valid requests, slow readers, disconnecting clients, malformed bodies.

    python bench/load.py [--url URL --pid PID] [--seconds 120] [--clients 50]

Without a URL it serves the bundled model in float64, in which an image does not depend on its batch. Every image is
compared with the image of the same seed drawn alone. The exit code is 1 if an image is lost or wrong, if images stay
in the server, or if its memory grows.
"""

import argparse
import asyncio
import base64
import io
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import psutil
from PIL import Image

PROMPT = "two stars on a blue background"
SEEDS = 4
GROWTH = 1.1  # of the server's memory, from the second quarter of the time to the last
PATIENCE = 700.0  # more than the server's timeout
OWN = [{}, {"guidance": 1, "temperature": 2}, {"decoder": "sjd(window=8)"}, {"guidance": 2, "output_format": "webp"}]
GARBAGE = [b"", b"{", b"[]", b"\xff", b'{"prompt": ""}', b'{"prompt": 1}', b'{"n": -1}', b"[" * 9000, b"x" * (2 << 20)]


def _pixels(image: str) -> bytes:
    """The pixels of an image file, without its settings."""
    with Image.open(io.BytesIO(base64.b64decode(image))) as picture:
        return picture.tobytes()


@dataclass
class Report:
    """Numbers of `answers` by kind of client, errors in `wrong`, and the memory of the server."""

    answers: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # bytes, once a second

    @property
    def growth(self) -> float:
        quarter = max(len(self.memory) // 4, 1)
        return statistics.median(self.memory[-quarter:]) / statistics.median(self.memory[quarter : 2 * quarter])


class Clients:
    """Many clients of one server, each with one request after the other until the time is over."""

    def __init__(self, url: str, prompt: str, seed: int = 0):
        self.url, self.prompt, self.random = url, prompt, random.Random(seed)
        self.path = f"{url}/v1/images/generations"
        self.report, self.due = Report(), {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        self.http = httpx.AsyncClient(timeout=PATIENCE, limits=limits)

    async def draw_alone(self) -> None:
        """Store the image of each seed, drawn alone."""
        for kind in range(len(OWN)):
            for seed in range(SEEDS):
                answer = await self.http.post(self.path, json=self._body(kind, seed))
                self.due[kind, seed] = _pixels(answer.raise_for_status().json()["data"][0]["b64_json"])
        if len(set(self.due.values())) < len(self.due):
            raise SystemExit("two of the requests give the same image: a mix-up would not be seen")

    async def run(self, clients: int, seconds: float, pid: int | None) -> Report:
        await self.draw_alone()
        until = time.monotonic() + seconds
        await asyncio.gather(self._watch_memory(pid, until), *(self._client(until) for _ in range(clients)))
        await self._settle()
        await self.http.aclose()
        return self.report

    async def _client(self, until: float) -> None:
        kinds: list[Callable[[], Awaitable[str]]] = [
            self.plain,
            self.several,
            self.stream,
            self.slow,
            self.vanish,
            self.garbage,
        ]
        while time.monotonic() < until:
            (kind,) = self.random.choices(kinds, [30, 10, 25, 10, 15, 10])
            try:
                outcome = await kind()
            except Exception as error:
                outcome = "wrong"
                self.report.wrong.append(f"{kind.__name__}: {error!r}"[:300])
            self.report.answers[f"{kind.__name__}: {outcome}"] += 1

    async def plain(self) -> str:
        kind, seed = self._choice()
        answer = await self.http.post(self.path, json=self._body(kind, seed))
        if await self._full(answer):
            return "full"
        (data,) = answer.raise_for_status().json()["data"]
        self._compare(data["b64_json"], kind, seed)
        return "right"

    async def several(self) -> str:
        kind, _ = self._choice()
        answer = await self.http.post(self.path, json=self._body(kind, 0) | {"n": SEEDS})
        if await self._full(answer):
            return "full"
        for seed, data in enumerate(answer.raise_for_status().json()["data"]):
            self._compare(data["b64_json"], kind, seed)
        return "right"

    async def stream(self, pause: float = 0.0) -> str:
        kind, seed = self._choice()
        body = self._body(kind, seed) | {"stream": True, "partial_images": 3}
        async with self.http.stream("POST", self.path, json=body) as answer:
            if await self._full(answer):
                return "full"
            text = b""
            async for part in answer.raise_for_status().aiter_bytes(256 if pause else None):
                text += part
                await asyncio.sleep(pause)
        events = [json.loads(line) for line in re.findall(rb"^data: (.*)$", text, re.MULTILINE)]
        if events[-1].get("type") != "image_generation.completed":
            raise ValueError(f"the stream ended with {events[-1]}")
        self._compare(events[-1]["b64_json"], kind, seed)
        return "right"

    async def slow(self) -> str:
        return await self.stream(pause=0.02)

    async def vanish(self) -> str:
        kind, seed = self._choice()
        body = json.dumps(self._body(kind, seed) | {"n": 2, "stream": self.random.random() < 0.5}).encode()
        url = httpx.URL(self.url)
        _, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {httpx.URL(self.path).path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        sent = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        writer.write(sent[: self.random.choice([20, len(sent) - 5, len(sent)])])
        await writer.drain()
        await asyncio.sleep(self.random.uniform(0, 0.5))
        writer.transport.abort()
        return "gone"

    async def garbage(self) -> str:
        content = self.random.choice(GARBAGE)
        answer = await self.http.post(self.path, content=content, headers={"content-type": "application/json"})
        if answer.status_code not in (400, 413) or "message" not in answer.json()["error"]:
            raise ValueError(f"{content[:20]!r} was answered {answer.status_code} {answer.text[:100]}")
        return "refused"

    def _choice(self) -> tuple[int, int]:
        return self.random.randrange(len(OWN)), self.random.randrange(SEEDS)

    def _body(self, kind: int, seed: int) -> dict:
        return {"prompt": self.prompt, "seed": seed} | OWN[kind]

    def _compare(self, image: str, kind: int, seed: int) -> None:
        seen = _pixels(image)
        if seen != self.due[kind, seed]:
            found = [key for key, other in self.due.items() if other == seen]
            raise ValueError(f"{OWN[kind]} with seed {seed} gave another image, that of {found}")

    async def _full(self, answer: httpx.Response) -> bool:
        """Whether the queue is full; then waits for a part of `Retry-After`."""
        if answer.status_code != 429:
            return False
        await asyncio.sleep(int(answer.headers["retry-after"]) * self.random.uniform(0.05, 1))
        return True

    async def _watch_memory(self, pid: int | None, until: float) -> None:
        while pid and time.monotonic() < until:
            self.report.memory.append(psutil.Process(pid).memory_info().rss)
            await asyncio.sleep(1)

    async def _settle(self) -> None:
        """Wait until no image is left in the server."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            text = (await self.http.get(f"{self.url}/metrics")).text
            left = re.findall(r"^fewpass_(?:queue|drawing)_images(?:\{.*\})? (\S+)$", text, re.MULTILINE)
            if left and not any(map(float, left)):
                return
            await asyncio.sleep(0.1)
        self.report.wrong.append("images are left in the queue or in the batch")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="URL of a running server")
    parser.add_argument("--pid", type=int, help="its process, to watch its memory")
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=50)
    given = parser.parse_args()
    own = None
    if given.url is None:
        command = [sys.executable, "-m", "fewpass", "serve", "--port", "0", "--dtype", "float64", "--max-queue", "32"]
        own = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        given.url, given.pid = (
            next(m[1] for m in (re.search(r"at (\S+)/v1", line) for line in own.stderr) if m),
            own.pid,
        )
    try:
        report = asyncio.run(Clients(given.url, given.prompt).run(given.clients, given.seconds, given.pid))
    finally:
        if own:
            own.terminate()
            own.communicate(timeout=60)
    for kind, times in sorted(report.answers.items()):
        print(f"{times:6} {kind}")
    for line in report.wrong:
        print("WRONG", line)
    if report.memory:
        print(f"memory: {report.memory[-1] / 2**20:.0f} MiB at the end, {report.growth:.3f} of that at the start")
    return 1 if report.wrong or (report.memory and report.growth > GROWTH) else 0


if __name__ == "__main__":
    sys.exit(main())
