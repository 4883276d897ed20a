"""The state that replicas share: their metrics, how many images they draw, and whether they must stop."""

import time

PERIOD = 1.0  # seconds between reports
EXPIRY = 30.0  # seconds without a report after which a replica is removed
PATIENCE = 10.0  # seconds to wait for the registry


class Registry:
    """A Ray actor. Replicas report here; the answer is whether they must stop."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, bytes, int]] = {}
        self._stopped: float | None = None

    def report(self, replica: str, metrics: bytes, images: int) -> bool:
        """Store a replica's metrics and its number of unfinished images; return whether it must stop."""
        self._reports[replica] = time.monotonic(), metrics, images
        return self._stopped is not None

    def metrics(self) -> dict[str, bytes]:
        """The metrics of each replica, up to `PERIOD` seconds old."""
        now = time.monotonic()
        self._reports = {name: report for name, report in self._reports.items() if now - report[0] < EXPIRY}
        return {name: text for name, (_, text, _) in self._reports.items()}

    def stop(self) -> None:
        """Make all replicas accept no more requests."""
        self._stopped = self._stopped or time.monotonic()

    def finished(self) -> bool:
        """Whether all replicas have been stopped and have no unfinished images."""
        stopped = self._stopped
        self.metrics()
        return stopped is not None and all(
            images == 0 and when > stopped + PERIOD / 2 for when, _, images in self._reports.values()
        )
