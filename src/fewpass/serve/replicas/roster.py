"""What the replicas of a server tell one another: their metrics, what they are drawing, and that it is time to stop."""

import time

PERIOD = 1.0  # seconds between reports
FORGOTTEN = 30.0  # seconds after which a replica that has not reported is one no more
PATIENCE = 10.0  # seconds to wait for the roster


class Roster:
    """In a process of its own. Replicas report here; what they learn in return is whether they are to stop."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, bytes, int]] = {}
        self._stopping: float | None = None

    def report(self, replica: str, metrics: bytes, images: int) -> bool:
        """`images` are being drawn there or wait."""
        self._reports[replica] = time.monotonic(), metrics, images
        return self._stopping is not None

    def metrics(self) -> dict[str, bytes]:
        """Of each replica, as it was up to `PERIOD` seconds ago."""
        now = time.monotonic()
        self._reports = {who: report for who, report in self._reports.items() if now - report[0] < FORGOTTEN}
        return {who: text for who, (_, text, _) in self._reports.items()}

    def stop(self) -> None:
        """Have every replica take nothing more."""
        self._stopping = self._stopping or time.monotonic()

    def settled(self) -> bool:
        """Whether every replica has been told to stop, and has nothing more to draw."""
        told = self._stopping
        self.metrics()
        return told is not None and all(
            images == 0 and when > told + PERIOD / 2 for when, _, images in self._reports.values()
        )
