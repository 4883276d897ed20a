"""The commands by their names."""

from typing import Annotated

import typer

from fewpass import __version__
from fewpass.cli.batch import batch
from fewpass.cli.bench import bench
from fewpass.cli.check import check
from fewpass.cli.compare import compare
from fewpass.cli.decoders import decoders
from fewpass.cli.demo import demo
from fewpass.cli.evaluate import evaluate
from fewpass.cli.generate import generate
from fewpass.cli.models import models
from fewpass.cli.optional import Command, renamed
from fewpass.cli.options import OWN
from fewpass.cli.serve import serve

BATCH_SIZE = {"--together": "--batch-size"}  # former names of options, accepted with a line on standard error
LIMITS = {"--batch": "--batch-size", "--prompt": "--max-prompt-length"}
LIMITS |= {f"--{name}": f"--max-{name}" for name in ("queue", "images", "pixels", "window")}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command(epilog=OWN, cls=renamed(BATCH_SIZE))(generate)
app.command(epilog=OWN)(compare)
app.command(epilog=OWN, cls=Command)(batch)
app.command()(decoders)
app.command()(models)
app.command()(check)
app.command(cls=renamed(LIMITS))(serve)
app.command("eval", epilog=OWN, cls=renamed(BATCH_SIZE))(evaluate)
app.command()(demo)
app.command(epilog=OWN, cls=renamed({"--batches": "--batch-sizes"}))(bench)


def _version(asked: bool) -> None:
    if asked:
        print(f"fewpass {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def fewpass(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Draw images with autoregressive text-to-image models in few forward passes."""
    if context.invoked_subcommand is None:
        print(context.get_help())
