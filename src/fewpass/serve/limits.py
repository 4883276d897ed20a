"""Limits of requests, connections and times."""

from dataclasses import dataclass, field, fields
from typing import Any

from fewpass.core.checks import real, whole
from fewpass.core.messages import shown

CONNECTIONS = 2000
SIZES = ("exact", "nearest")


def _number(default: int | None, help: str, least: int = 1, most: int | None = None) -> Any:
    about = {"kind": int, "metavar": "N", "help": help, "least": least, "most": most}
    return field(default=default, metadata=about)


def _seconds(default: float, help: str, least: float = 0.001) -> Any:
    return field(default=default, metadata={"kind": float, "metavar": "S", "help": help, "least": least})


@dataclass(frozen=True)
class Limits:
    """Limits of a server, which are options of the command line too.

    Raises:
        ValueError: A limit is out of its range.
    """

    batch_size: int = _number(8, "Images drawn at the same time.")
    max_queue: int = _number(64, "Images that may wait.", least=0)
    max_images: int = _number(10, "Images in a request.", most=10)  # OpenAI's own, as the next but one
    max_pixels: int = _number(1024 * 1024, "Pixels in an image.")
    max_prompt_length: int = _number(4000, "Characters in a prompt.", most=32_000)
    max_window: int = _number(256, "Drafts in the window of a client's decoder.")
    max_per_address: int | None = _number(None, "Connections from one address.")
    timeout: float = _seconds(600, "Seconds for a request.")
    grace: float = _seconds(30, "Seconds to finish requests after a signal to stop.", least=0)
    sizes: str = field(
        default="exact",
        metadata={
            "kind": str,
            "metavar": "WHICH",
            "help": "exact, or nearest: replace a size by the most similar one.",
        },
    )
    stall: float = _seconds(30, "Seconds to send headers, to send a body, or to read a part of an answer.")
    body: int = _number(1 << 20, "Bytes of a request.")  # all fields at their longest, with every letter escaped, fit
    connections: int = _number(CONNECTIONS, "Open connections.")

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
