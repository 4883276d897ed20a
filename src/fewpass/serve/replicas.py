"""Replicas of the server on a Ray cluster: `fewpass serve --ray`."""

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from fewpass.integrations.ray import Processes, connected, last_line
from fewpass.serve.app import create_app, public_name
from fewpass.serve.limits import CONNECTIONS, Limits
from fewpass.serve.metrics import Metrics, merge

NAME = "fewpass"  # of the application and of its one deployment
PATIENCE = 10.0  # seconds to wait for answers of all replicas
MOMENT = 5.0  # seconds to end a replica


def serve_on_ray(
    processes: Processes,
    host: str,
    port: int,
    limits: Limits,
    api_key: str | None,
    name: str | None,
    cors: Sequence[str],
    announce: Callable[[str, int], object],
) -> None:
    """Serve at `host` and `port` until SIGTERM or SIGINT.

    `announce` is called with the model's name and the number of replicas once they answer.

    Raises:
        ValueError: The cluster cannot be reached, is too small or serves already, or a replica cannot start.
        KeyboardInterrupt: After SIGINT.
    """
    known = name or public_name(processes.model)
    with connected(processes.address, "ray.serve") as passing:
        count, share = processes.share(ray.cluster_resources())
        if serve.status().proxies:
            raise ValueError("the cluster serves something already, which `serve shutdown` would end")
        source = processes.source

        def build() -> FastAPI:  # in the process of a replica; Ray takes functions only
            return create_app(processes.open(source, share), limits, api_key, known, cors, SharedMetrics())

        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        try:
            _start(host, port, _deployment(build, count, share, limits.grace))
            try:
                announce(known, count)
                stop.wait()
            finally:
                _finish(limits.grace)
        finally:
            if not passing:
                serve.shutdown()


class SharedMetrics(Metrics):
    """The metrics of a replica, whose text holds those of all replicas."""

    def text(self) -> bytes:
        """The metrics of all replicas that answer, with the label `replica`."""
        answers = serve.get_deployment_handle(NAME, NAME).broadcast("metrics")
        found = answers.results(timeout_s=PATIENCE, return_exceptions=True)
        return merge(dict(pair for pair in found if isinstance(pair, tuple)), "replica")


class Replica:
    """The class that Ray Serve deploys, with the application added by `serve.ingress`."""

    app: FastAPI

    def check_health(self) -> None:
        """Raise for a replica that Ray must replace."""
        if not self.app.state.engine.alive:
            raise RuntimeError("drawing has stopped")

    def metrics(self) -> tuple[str, bytes]:
        """The replica's name and its metrics."""
        return serve.get_replica_context().replica_id.unique_id, Metrics.text(self.app.state.engine.metrics)


def _deployment(build: Callable[[], FastAPI], replicas: int, share: Mapping[str, int], grace: float) -> Any:
    """The application of Ray Serve. Ray keeps no queue: each replica has the limits of a server."""
    return serve.deployment(
        name=NAME,
        num_replicas=replicas,
        ray_actor_options={"num_cpus": 0, **share},
        max_ongoing_requests=CONNECTIONS,
        max_queued_requests=CONNECTIONS,
        max_constructor_retry_count=1,  # a model that fails to load once will fail again
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=grace,
    )(serve.ingress(build)(Replica)).bind()


def _start(host: str, port: int, app: Any) -> None:
    try:
        serve.start(http_options={"host": host, "port": port})
        serve.run(app, name=NAME, route_prefix="/")
    except (RayError, RayServeException, RuntimeError, TimeoutError) as error:
        reasons = [part.message for app in serve.status().applications.values() for part in app.deployments.values()]
        message = last_line("\n".join(reasons)).removeprefix("ValueError: ") if any(reasons) else ""
        raise ValueError(message or f"Ray: {last_line(error)}") from error


def _finish(grace: float) -> None:
    """Let the replicas finish their requests within `grace` seconds, and end them."""
    end = time.monotonic() + grace + MOMENT
    serve.delete(NAME, _blocking=False)
    while NAME in serve.status().applications and time.monotonic() < end:
        time.sleep(0.1)
