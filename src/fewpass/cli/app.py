"""The commands by their names."""

from typing import Annotated

import typer

from fewpass import __version__
from fewpass.cli.batch import batch
from fewpass.cli.bench import bench
from fewpass.cli.check import check
from fewpass.cli.compare import compare
from fewpass.cli.demo import demo
from fewpass.cli.evaluate import evaluate
from fewpass.cli.generate import generate
from fewpass.cli.lists import decoders, models
from fewpass.cli.options import OWN, flat
from fewpass.cli.serve import serve

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command(epilog=OWN)(flat(generate))
app.command(epilog=OWN)(flat(compare, without=["decoder"]))
app.command(epilog=OWN)(flat(batch))
app.command()(decoders)
app.command()(models)
app.command()(check)
app.command()(flat(serve, without=["stall", "body", "connections"]))
app.command("eval", epilog=OWN)(flat(evaluate, without=["decoder", "seed"]))
app.command()(flat(demo))
app.command(epilog=OWN)(flat(bench, without=["decoder", "negative_prompt", "seed"]))


def _version(asked: bool) -> None:
    if asked:
        print(f"fewpass {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def fewpass(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Draw images with autoregressive text-to-image models in few forward passes."""
    if context.invoked_subcommand is None:
        print(context.get_help())
