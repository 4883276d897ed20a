"""From a cluster to a server that answers, and back."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from fewpass.integrations.ray import Crew, connected, last_line, quiet
from fewpass.serve.alias import public_name
from fewpass.serve.limits import Limits
from fewpass.serve.replicas.door import environment
from fewpass.serve.replicas.replica import NAME, Plan, deployment
from fewpass.serve.replicas.roster import PATIENCE, PERIOD, Roster


@dataclass(frozen=True)
class Service(Crew):
    """Replicas of the server."""

    called: ClassVar[str] = "replicas"

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
        """Serve at `host` and `port` until SIGTERM or SIGINT; tell `announce` the model's name and how many there are.

        Raises ValueError if the cluster cannot be reached, is too small or serves something else, or if the replicas
        cannot start; KeyboardInterrupt after SIGINT.
        """
        with connected(self.address) as passing, quiet("ray.serve"):
            replicas, share = self.share(ray.cluster_resources())
            if serve.status().proxies:
                raise ValueError("the cluster serves something already, which `serve shutdown` would end")
            roster = ray.remote(num_cpus=0, max_restarts=-1)(Roster).remote()
            name = name or public_name(self.model)
            plan = Plan(self, self.source, share, limits, api_key, name, roster)
            try:
                _start(host, port, environment(limits, cors), deployment(plan, replicas))
                with _signals() as told:
                    announce(name, replicas)
                    told.wait()
                    _drain(roster, limits.grace)
                    serve.delete(NAME)
            finally:
                if not passing:
                    serve.shutdown()
        if told.interrupted:
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
    """What a replica said that could not start; nothing if none said anything."""
    told = [part.message for app in serve.status().applications.values() for part in app.deployments.values()]
    return last_line("\n".join(told)).removeprefix("ValueError: ") if any(told) else ""


def _drain(roster: Any, grace: float) -> None:
    """Have the replicas refuse what they have not begun, and wait until they have finished the rest."""
    end = time.monotonic() + grace + PERIOD + 2
    try:
        ray.get(roster.stop.remote(), timeout=PATIENCE)
        while time.monotonic() < end and not ray.get(roster.settled.remote(), timeout=PATIENCE):
            time.sleep(PERIOD / 10)
    except RayError:
        return


class Told(threading.Event):
    """To stop."""

    interrupted = False


@contextmanager
def _signals() -> Iterator[Told]:
    """Set by the first SIGTERM or SIGINT. The next SIGINT is a KeyboardInterrupt again."""
    told = Told()

    def tell(number: int, frame: object) -> None:
        told.interrupted = number == signal.SIGINT
        signal.signal(signal.SIGINT, signal.default_int_handler)
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
