"""Start and stop of a server on a Ray cluster."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from fewpass.integrations.ray import Processes, connected, last_line
from fewpass.serve.app import public_name
from fewpass.serve.limits import Limits
from fewpass.serve.replicas.gateway import environment
from fewpass.serve.replicas.registry import PATIENCE, PERIOD, Registry
from fewpass.serve.replicas.replica import NAME, build_app, deployment


@dataclass(frozen=True)
class Service(Processes):
    """A server of several replicas."""

    called: str = "replicas"

    def run(
        self,
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
        with connected(self.address, "ray.serve") as passing:
            replicas, share = self.share(ray.cluster_resources())
            if serve.status().proxies:
                raise ValueError("the cluster serves something already, which `serve shutdown` would end")
            registry = ray.remote(num_cpus=0, max_restarts=-1)(Registry).remote()
            name = name or public_name(self.model)

            def build() -> FastAPI:  # Ray takes functions only
                return build_app(self, self.source, share, limits, api_key, name, registry)

            try:
                _start(host, port, environment(limits, cors), deployment(build, replicas, share, limits.grace))
                with _stop_signal() as stop:
                    announce(name, replicas)
                    stop.wait()
                    _drain(registry, limits.grace)
                    serve.delete(NAME)
            finally:
                if not passing:
                    serve.shutdown()
        if stop.interrupted:
            raise KeyboardInterrupt


def _start(host: str, port: int, environment: Mapping[str, str], app: Any) -> None:
    try:
        serve.start(
            http_options={"host": host, "port": port},
            controller_options={"runtime_env": {"env_vars": environment}},  # proxies inherit it
        )
        serve.run(app, name=NAME, route_prefix="/")
    except (RayError, RayServeException, RuntimeError, TimeoutError) as error:
        raise ValueError(_reason() or f"Ray: {last_line(error)}") from error


def _reason() -> str:
    """The error of a replica that could not start; empty if there is none."""
    messages = [part.message for app in serve.status().applications.values() for part in app.deployments.values()]
    return last_line("\n".join(messages)).removeprefix("ValueError: ") if any(messages) else ""


def _drain(registry: Any, grace: float) -> None:
    """Stop the replicas: they refuse waiting requests, and finish the others within `grace` seconds."""
    end = time.monotonic() + grace + PERIOD + 2
    try:
        ray.get(registry.stop.remote(), timeout=PATIENCE)
        while time.monotonic() < end and not ray.get(registry.finished.remote(), timeout=PATIENCE):
            time.sleep(PERIOD / 10)
    except RayError:
        return


class StopSignal(threading.Event):
    """Set by SIGTERM or SIGINT; `interrupted` is whether it was SIGINT."""

    interrupted = False


@contextmanager
def _stop_signal() -> Iterator[StopSignal]:
    """An event that the first SIGTERM or SIGINT sets. The next SIGINT is a KeyboardInterrupt again."""
    stop = StopSignal()

    def handle(number: int, frame: object) -> None:
        stop.interrupted = number == signal.SIGINT
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
