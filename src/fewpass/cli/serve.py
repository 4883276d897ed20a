"""`fewpass serve`."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from fewpass.cli import options as o
from fewpass.cli.terminal import load_torch, open_model, url
from fewpass.io.extra import check_installed
from fewpass.serve.limits import Limits

LIMITS = Limits()
KEY = "FEWPASS_API_KEY"


def serve(
    model: o.Model = "emoji",
    host: Annotated[str, o.option("NAME", "Address to listen on; 0.0.0.0 lets other machines in.")] = o.LOCAL[0],
    port: Annotated[int, o.number("Port, 0 for any free one.", None)] = 8000,
    api_key: Annotated[str | None, typer.Option(envvar=KEY, metavar="KEY", help="Key that clients must send.")] = None,
    limits: Limits = LIMITS,
    name: Annotated[str | None, o.option("NAME", "Name of the model for clients; by default its own.")] = None,
    cors: Annotated[list[str] | None, o.option("ORIGIN", "Origin of allowed web pages; may be repeated.")] = None,
    ray: o.Ray = None,
    replicas: Annotated[int | None, o.number("Replicas on Ray; by default as many as fit.")] = None,
    cores: o.Cores = None,
    place: o.Place = o.Place(),
) -> None:
    """Serve a model over HTTP, as OpenAI's images API: POST /v1/images/generations."""
    check_installed("serve", "fastapi", "uvicorn", "prometheus_client")
    o.check_ray(ray, replicas=replicas, cores=cores)

    load_torch()

    from fewpass.serve.connections import listen, most_connections
    from fewpass.serve.middleware import check_key, cors_options

    check_key(os.environ.get(KEY) if api_key is None else api_key)  # typer reads an empty variable as None
    cors_options(cors or [])
    limits = replace(limits, connections=most_connections())
    with listen(host, port) as bound:
        where = url(host, bound)
        if ray is None:
            pipe = open_model(model, place)
            pipe.model.check_ready()

            from fewpass.serve.app import create_app
            from fewpass.serve.server import Server

            app = create_app(pipe, limits, api_key, name, cors=cors or ())
            server = Server(app, limits, lambda: _announce(pipe.model.name, where))
            _warn(where, host, api_key)
            server.run([bound])
            return
        port = bound.getsockname()[1]
    serve_on_ray = _on_ray(ray, model, replicas, cores, place)
    _warn(where, host, api_key)
    print("starting replicas", file=sys.stderr)
    serve_on_ray(host, port, limits, api_key, name, cors or (), lambda known, count: _announce(known, where, count))


def _on_ray(address: str, model: str, replicas: int | None, cores: int | None, place: o.Place) -> Callable[..., None]:
    """Serving on a Ray cluster."""
    try:
        from fewpass.serve.replicas import serve_on_ray
    except ImportError as error:
        raise ImportError(f"--ray needs {error.name}: pip install 'fewpass[serve-ray]'") from error

    from fewpass.integrations.ray import Processes

    processes = Processes(address, model, place.device, place.dtype, replicas, cores, place.compile, called="replicas")
    processes.check()
    return partial(serve_on_ray, processes)


def _warn(where: str, host: str, api_key: str | None) -> None:
    if host not in o.LOCAL and api_key is None:
        print(f"fewpass: every client that reaches {where} can draw, unless --api-key is set", file=sys.stderr)


def _announce(model: str, where: str, replicas: int = 0) -> None:
    drawn = f" by {replicas} replicas" if replicas else ""
    print(f"{model} at {where}/v1{drawn}", file=sys.stderr, flush=True)
