"""A replica among others: its metrics are known to all, and it stops when all are to stop."""

import time

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from fewpass.serve.engine import Engine
from fewpass.serve.metrics import Metrics, united
from fewpass.serve.replicas.roster import PATIENCE, PERIOD


class SharedMetrics(Metrics):
    """The metrics of a replica, which tells those of all."""

    def __init__(self, roster: ActorHandle, replica: str):
        super().__init__()
        self.roster, self.replica = roster, replica

    def own(self) -> bytes:
        return super().text()

    def text(self) -> bytes:
        """Of every replica, with its name; of this one alone where the roster does not answer."""
        try:
            others = ray.get(self.roster.metrics.remote(), timeout=PATIENCE)
        except RayError:
            others = {}
        return united(others | {self.replica: self.own()}, "replica")


class Member:
    """A replica's side of the roster."""

    def __init__(self, engine: Engine, metrics: SharedMetrics):
        self.engine, self.metrics = engine, metrics

    def attend(self) -> None:
        """Report as long as the process lives; when told to stop, finish what is being drawn."""
        while not self._report():
            time.sleep(PERIOD)
        self.engine.drain()
        end = time.monotonic() + self.engine.limits.grace
        while self.engine.images and time.monotonic() < end:
            time.sleep(PERIOD / 10)
        self.engine.abort()
        while True:
            self._report()
            time.sleep(PERIOD / 10)

    def _report(self) -> bool:
        """Whether to stop. Nobody is told to while the roster is away, which Ray starts again."""
        report = self.metrics.roster.report
        try:
            told = report.remote(self.metrics.replica, self.metrics.own(), self.engine.images)
            return bool(ray.get(told, timeout=PATIENCE))
        except RayError:
            return False
