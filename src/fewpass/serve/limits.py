"""Limits of requests, connections and times."""

from dataclasses import dataclass
from typing import Literal

from fewpass.core.checks import real, whole
from fewpass.core.messages import shown

CONNECTIONS = 2000
MOST = {"max_images": 10, "max_prompt_length": 32_000}  # OpenAI's own
TIMES = ("timeout", "stall", "grace")


@dataclass(frozen=True)
class Limits:
    """Limits of a server. Times are in seconds.

    Attributes:
        batch_size: Images drawn at a time.
        max_queue: Images that may wait besides them.
        max_images: Images of one request.
        max_pixels: Pixels of one image.
        max_prompt_length: Characters of one prompt.
        max_window: Drafts per forward pass of a client's decoder.
        body: Bytes of a request's body.
        timeout: Time to answer a request.
        stall: Time for a client to send its headers, to send its body, or to read a part of its answer.
        grace: Time to finish images after SIGTERM or Ctrl-C.
        connections: Open connections.
        per_address: Connections of one client's address; None is any number.
        sizes: "exact" refuses a size that the model does not draw, "nearest" draws the most similar one.

    Raises:
        ValueError: A limit is out of its range.
    """

    batch_size: int = 8
    max_queue: int = 64
    max_images: int = 10
    max_pixels: int = 1024 * 1024
    max_prompt_length: int = 4000
    max_window: int = 256
    body: int = 1 << 20  # all fields at their longest, with every letter escaped, fit
    timeout: float = 600.0
    stall: float = 30.0
    grace: float = 30.0
    connections: int = CONNECTIONS
    per_address: int | None = None
    sizes: Literal["exact", "nearest"] = "exact"

    def __post_init__(self) -> None:
        if self.sizes not in ("exact", "nearest"):
            raise ValueError(f"sizes must be exact or nearest, got {shown(self.sizes)}")
        for name, value in vars(self).items():
            if name in TIMES:
                if real(name, value, 0, finite=True) == 0 and name != "grace":
                    raise ValueError(f"{name} must be a number of seconds > 0, got {value}")
            elif name != "sizes" and value is not None:
                whole(name, value, least=name != "max_queue", most=MOST.get(name))

    @property
    def capacity(self) -> int:
        """Images that can be drawn or wait at once."""
        return self.batch_size + self.max_queue
