"""What clients may ask for, and how long anything may take."""

from dataclasses import dataclass
from typing import Literal

from fewpass.core.messages import shown

CONNECTIONS = 1000


@dataclass(frozen=True)
class Limits:
    """Raises ValueError naming the value that will not do.

    `batch` images are drawn at a time, and as many as `queue` more wait; a request has up to `images` of at most
    `pixels` pixels each, a prompt of `prompt` characters, and drafts up to `window` tokens. Bodies have at most `body`
    bytes. `timeout` is a request's time to be answered and `stall` that to send its headers, its body, or to take a
    part of its answer; what is not finished `grace` after the server was told to stop is given up. All in seconds.
    `connections` requests are answered at a time, `per_address` of one client's address (None: any number), and twice
    as many connections are open. A size that the model does not draw is an error where `sizes` is "exact", and the most
    similar one is drawn where it is "nearest".
    """

    batch: int = 8
    queue: int = 64
    images: int = 10
    pixels: int = 1024 * 1024
    prompt: int = 4000
    window: int = 256
    body: int = 1 << 20  # all fields at their longest, every letter escaped, fit
    timeout: float = 600.0
    stall: float = 30.0
    grace: float = 30.0
    connections: int = CONNECTIONS
    per_address: int | None = None
    sizes: Literal["exact", "nearest"] = "exact"

    def __post_init__(self) -> None:
        for name in ("batch", "images", "pixels", "prompt", "window", "body", "connections", "per_address"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be a whole number >= 1, not {getattr(self, name)}")
        for name, most in (("images", 10), ("prompt", 32_000)):  # OpenAI's own
            if getattr(self, name) > most:
                raise ValueError(f"{name} is at most {most}, not {getattr(self, name)}")
        if self.sizes not in ("exact", "nearest"):
            raise ValueError(f"sizes must be exact or nearest, got {shown(self.sizes)}")
        for name in ("queue", "grace"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be a number >= 0, not {getattr(self, name)}")
        for name in ("timeout", "stall"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be a number of seconds > 0, not {getattr(self, name)}")

    @property
    def places(self) -> int:
        """How many images can be here at once, drawn or waiting."""
        return self.batch + self.queue
