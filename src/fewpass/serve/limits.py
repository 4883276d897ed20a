"""What clients may ask for, and how long anything may take."""

from dataclasses import dataclass
from typing import Literal

from fewpass.core.messages import shown

CONNECTIONS = 1000


@dataclass(frozen=True)
class Limits:
    """Raises ValueError naming the value that will not do.

    `batch_size` images are drawn at a time, and `max_queue` more may wait; a request has up to `max_images` of at
    most `max_pixels` pixels each, a prompt of `max_prompt_length` characters, and drafts up to `max_window` tokens.
    Bodies have at most `body` bytes. `timeout` is a request's time to be answered and `stall` that to send its
    headers, its body, or to take a part of its answer; what is not finished `grace` after the server was told to
    stop is given up. All in seconds. `connections` requests are answered at a time, `per_address` of one client's
    address (None: any number), and twice as many connections are open. A size that the model does not draw is an
    error where `sizes` is "exact", and the most similar one is drawn where it is "nearest".
    """

    batch_size: int = 8
    max_queue: int = 64
    max_images: int = 10
    max_pixels: int = 1024 * 1024
    max_prompt_length: int = 4000
    max_window: int = 256
    body: int = 1 << 20  # all fields at their longest, every letter escaped, fit
    timeout: float = 600.0
    stall: float = 30.0
    grace: float = 30.0
    connections: int = CONNECTIONS
    per_address: int | None = None
    sizes: Literal["exact", "nearest"] = "exact"

    def __post_init__(self) -> None:
        counts = ("batch_size", "max_images", "max_pixels", "max_prompt_length", "max_window", "body", "connections")
        for name in (*counts, "per_address"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be a whole number >= 1, not {getattr(self, name)}")
        for name, most in (("max_images", 10), ("max_prompt_length", 32_000)):  # OpenAI's own
            if getattr(self, name) > most:
                raise ValueError(f"{name} is at most {most}, not {getattr(self, name)}")
        if self.sizes not in ("exact", "nearest"):
            raise ValueError(f"sizes must be exact or nearest, got {shown(self.sizes)}")
        for name in ("max_queue", "grace"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be a number >= 0, not {getattr(self, name)}")
        for name in ("timeout", "stall"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be a number of seconds > 0, not {getattr(self, name)}")

    @property
    def places(self) -> int:
        """How many images can be here at once, drawn or waiting."""
        return self.batch_size + self.max_queue
