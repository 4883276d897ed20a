"""One replica of the server, and the Ray Serve deployment of all."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.actor import ActorHandle
from ray.exceptions import RayError

from fewpass.integrations.ray import Processes
from fewpass.serve.app import create_app
from fewpass.serve.engine import Engine
from fewpass.serve.limits import CONNECTIONS, Limits
from fewpass.serve.metrics import Metrics, merge
from fewpass.serve.replicas.registry import PATIENCE, PERIOD

NAME = "fewpass"  # of the application and of its one deployment


class SharedMetrics(Metrics):
    """The metrics of a replica, whose text holds those of all replicas."""

    def __init__(self, registry: ActorHandle, replica: str):
        super().__init__()
        self.registry, self.replica = registry, replica

    def own(self) -> bytes:
        return super().text()

    def text(self) -> bytes:
        """The metrics of all replicas; of this one only if the registry does not answer."""
        try:
            others = ray.get(self.registry.metrics.remote(), timeout=PATIENCE)
        except RayError:
            others = {}
        return merge(others | {self.replica: self.own()}, "replica")

    def report(self, images: int) -> bool:
        """Report to the registry; return whether to stop. Ray restarts a registry that does not answer."""
        try:
            stop = self.registry.report.remote(self.replica, self.own(), images)
            return bool(ray.get(stop, timeout=PATIENCE))
        except RayError:
            return False


def report_until_stopped(engine: Engine, metrics: SharedMetrics) -> None:
    """Report as long as the process lives; then drain the engine for `limits.grace` seconds."""
    while not metrics.report(engine.images):
        time.sleep(PERIOD)
    engine.drain()
    end = time.monotonic() + engine.limits.grace
    while engine.images and time.monotonic() < end:
        time.sleep(PERIOD / 10)
    engine.abort()
    while True:
        metrics.report(engine.images)
        time.sleep(PERIOD / 10)


def build_app(
    processes: Processes,
    source: str,
    share: Mapping[str, int],
    limits: Limits,
    api_key: str | None,
    name: str,
    registry: ActorHandle,
) -> FastAPI:
    """Build the application in the process of a replica, which loads `source` with the resources `share`."""
    pipe = processes.open(source, share)
    metrics = SharedMetrics(registry, serve.get_replica_context().replica_id.unique_id)
    app = create_app(pipe, limits, api_key, name, metrics)
    reports = threading.Thread(
        target=report_until_stopped, args=(app.state.engine, metrics), name="fewpass-reports", daemon=True
    )
    reports.start()
    return app


class Replica:
    """The class that Ray Serve deploys, with the application added by `serve.ingress`."""

    app: FastAPI

    def check_health(self) -> None:
        """Raise for a replica that Ray must replace."""
        if not self.app.state.engine.alive:
            raise RuntimeError("drawing has stopped")


def deployment(build: Callable[[], FastAPI], replicas: int, share: Mapping[str, int], grace: float) -> Any:
    """The application of Ray Serve. Ray keeps no queue: each replica has the limits of a server."""
    return serve.deployment(
        name=NAME,
        num_replicas=replicas,
        ray_actor_options={"num_cpus": 0, **share},
        max_ongoing_requests=CONNECTIONS,
        max_queued_requests=CONNECTIONS,
        max_constructor_retry_count=1,  # a model that fails to load once will fail again
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=grace + 5,
    )(serve.ingress(build)(Replica)).bind()
