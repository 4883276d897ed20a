"""Schedule, progress bar, log and checkpoints of a stage, by its training time in minutes."""

import json
import math
import time
from pathlib import Path

from tqdm import tqdm


class Clock:
    """Training time so far, over all resumed runs, and the budget of `minutes`."""

    def __init__(
        self, minutes: float, out: Path, saved: dict | None, stop_after: float | None = None, save_every: float = 120.0
    ):
        self.budget, self.save_every = minutes * 60, save_every
        self.before, self.step = (saved["elapsed"], saved["step"]) if saved else (0.0, 0)
        self.stop = math.inf if stop_after is None else stop_after * 60
        self.start = self.saved = self.logged = time.monotonic()
        self.log_file = out / "log.jsonl"
        self.bar = tqdm(total=round(self.budget), initial=round(self.before), unit="s", mininterval=5)

    @property
    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.start

    @property
    def fraction(self) -> float:
        return min(1.0, self.elapsed / self.budget)

    @property
    def running(self) -> bool:
        """Whether neither the budget nor the limit of this run is used up."""
        return self.elapsed < self.budget and self.elapsed - self.before < self.stop

    def state(self) -> dict[str, float]:
        """The values to store in a checkpoint."""
        return {"elapsed": self.elapsed, "step": self.step}

    def rate(self, warmup: float = 0.02) -> float:
        """Learning rate as a share of its peak: a short linear warm-up, then a cosine to zero."""
        return min(1.0, self.fraction / warmup) * (1 + math.cos(math.pi * self.fraction)) / 2

    def tick(self, seconds: float = 15.0) -> bool:
        """Count a step; True when it is time to log."""
        self.step += 1
        due = time.monotonic() - self.logged > seconds
        if due:
            self.logged = time.monotonic()
        return due

    def log(self, **values: float) -> None:
        record = {"step": self.step, "minutes": round(self.elapsed / 60, 3)} | {
            k: round(v, 5) for k, v in values.items()
        }
        with self.log_file.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.bar.update(min(self.bar.total, round(self.elapsed)) - self.bar.n)
        self.bar.set_postfix({k: f"{v:.4g}" for k, v in values.items()})

    def save_due(self) -> bool:
        due = time.monotonic() - self.saved > self.save_every
        if due:
            self.saved = time.monotonic()
        return due
