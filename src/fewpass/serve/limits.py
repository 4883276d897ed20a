"""Limits of requests, connections and times."""

from dataclasses import dataclass, field, fields
from typing import Any

from fewpass.core.checks import real, whole
from fewpass.core.messages import shown

CONNECTIONS = 2000
SIZES = ("exact", "nearest")


def _limit(kind: type, default: Any, help: str, least: float | None = None, most: int | None = None) -> Any:
    """A field of `Limits`; numbers are at least 1 and times 0.001, unless `least` says otherwise."""
    metavar, usual = {int: ("N", 1), float: ("S", 0.001), str: ("WHICH", None)}[kind]
    bounds = {"least": usual if least is None else least, "most": most}
    return field(default=default, metadata={"kind": kind, "metavar": metavar, "help": help, **bounds})


@dataclass(frozen=True)
class Limits:
    """Limits of a server, which are options of the command line too.

    Raises:
        ValueError: A limit is out of its range.
    """

    batch_size: int = _limit(int, 8, "Images drawn at the same time.")
    max_queue: int = _limit(int, 64, "Images that may wait.", least=0)
    max_images: int = _limit(int, 10, "Images in a request.", most=10)  # OpenAI's own, as the next but one
    max_pixels: int = _limit(int, 1024 * 1024, "Pixels in an image.")
    max_prompt_length: int = _limit(int, 4000, "Characters in a prompt.", most=32_000)
    max_window: int = _limit(int, 256, "Drafts in the window of a client's decoder.")
    max_per_address: int | None = _limit(int, None, "Connections from one address.")
    timeout: float = _limit(float, 600, "Seconds for a request.")
    grace: float = _limit(float, 30, "Seconds to finish requests after a signal to stop.", least=0)
    sizes: str = _limit(str, "exact", "exact, or nearest: replace a size by the most similar one.")
    stall: float = _limit(float, 30, "Seconds to send headers, to send a body, or to read a part of an answer.")
    body: int = _limit(int, 1 << 20, "Bytes of a request.")  # all fields at their longest fit, every letter escaped
    connections: int = _limit(int, CONNECTIONS, "Open connections.")

    def __post_init__(self) -> None:
        if self.sizes not in SIZES:
            raise ValueError(f"sizes must be exact or nearest, got {shown(self.sizes)}")
        for limit in fields(self):
            about, value = limit.metadata, getattr(self, limit.name)
            if about["kind"] is float:
                real(limit.name, value, about["least"], finite=True)
            elif about["kind"] is int and not (value is limit.default is None):
                whole(limit.name, value, about["least"], about["most"])

    @property
    def capacity(self) -> int:
        """Images that can be drawn or wait at once."""
        return self.batch_size + self.max_queue
