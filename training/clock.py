"""A stage lasts so many minutes: its schedule, its progress bar, its log and its checkpoints follow that clock."""

import json
import math
import time
from pathlib import Path

from tqdm import tqdm


class Clock:
    """Seconds trained so far (over all resumed runs) against a budget of `minutes`."""

    def __init__(self, minutes: float, out: Path, elapsed: float = 0.0, step: int = 0, every: float = 120.0):
        self.budget, self.before, self.step, self.every = minutes * 60, elapsed, step, every
        self.start = self.saved = self.logged = time.monotonic()
        self.log_file = out / "log.jsonl"
        self.bar = tqdm(total=round(self.budget), initial=round(elapsed), unit="s", mininterval=5)

    @property
    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.start

    @property
    def fraction(self) -> float:
        return min(1.0, self.elapsed / self.budget)

    def rate(self, warmup: float = 0.02, floor: float = 0.0) -> float:
        """Learning rate as a share of its peak: a short linear warm-up, then a cosine to `floor`."""
        f = self.fraction
        return min(1.0, f / warmup) * (floor + (1 - floor) * (1 + math.cos(math.pi * f)) / 2)

    def tick(self, seconds: float = 15.0) -> bool:
        """Counts a step; True when it is time to log."""
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
        due = time.monotonic() - self.saved > self.every
        if due:
            self.saved = time.monotonic()
        return due
