"""One replica of the server, and the deployment that it belongs to."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.actor import ActorHandle

from fewpass.integrations.ray import Crew
from fewpass.serve.limits import CONNECTIONS, Limits

NAME = "fewpass"  # of the application, and of its one deployment


@dataclass(frozen=True)
class Plan:
    """What every replica has to know. `source` is where it finds the model, `share` what it has of its machine."""

    crew: Crew
    source: str
    share: Mapping[str, int]
    limits: Limits
    api_key: str | None
    name: str
    roster: ActorHandle

    def build(self) -> FastAPI:
        """The application, in the process of a replica."""
        from fewpass.serve.app import create_app  # the command that starts it all has no need of torch
        from fewpass.serve.replicas.member import Member, SharedMetrics

        pipe = self.crew.open(self.source, self.share)
        metrics = SharedMetrics(self.roster, serve.get_replica_context().replica_id.unique_id)
        app = create_app(pipe, self.limits, self.api_key, self.name, metrics)
        member = Member(app.state.engine, metrics)
        threading.Thread(target=member.attend, name="fewpass-member", daemon=True).start()
        return app


class Replica:
    """What Ray asks a replica, besides its application."""

    app: FastAPI  # from `serve.ingress`

    def check_health(self) -> None:
        """Ray replaces a replica that raises."""
        if not self.app.state.engine.alive:
            raise RuntimeError("drawing has stopped")


def deployment(plan: Plan, replicas: int) -> Any:
    """The application of Ray Serve. Limits are each replica's own: Ray keeps no queue before them."""

    def build() -> FastAPI:
        return plan.build()

    return serve.deployment(
        name=NAME,
        num_replicas=replicas,
        ray_actor_options={"num_cpus": 0, **plan.share},
        max_ongoing_requests=CONNECTIONS,
        max_queued_requests=CONNECTIONS,
        max_constructor_retry_count=1,  # a model that will not load now will not load then
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=plan.limits.grace + 5,
    )(serve.ingress(build)(Replica)).bind()
