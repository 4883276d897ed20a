"""The commands by their names."""

import sys
from collections.abc import Mapping
from itertools import takewhile
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

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

RAY, THIS_MACHINE = "--ray", "local"  # the value of --ray where no address follows
# Former names of options, accepted with a line on standard error.
BATCH_SIZE = {"--together": "--batch-size"}
BATCH_SIZES = {"--batches": "--batch-sizes"}
LIMITS = {"--batch": "--batch-size", "--prompt": "--max-prompt-length"}
LIMITS |= {f"--{name}": f"--max-{name}" for name in ("queue", "images", "pixels", "window")}


class Command(TyperCommand):
    """A command whose option --ray needs no value, and that accepts former names of its options."""

    former: ClassVar[Mapping[str, str]] = {}  # former name -> name

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rewrite the options before `--`, then parse."""
        options = list(takewhile(lambda arg: arg != "--", args))
        rewritten = [
            self._current(f"{RAY}={THIS_MACHINE}" if arg == RAY and (not after or after.startswith("-")) else arg)
            for arg, after in zip(options, [*options, ""][1:], strict=True)
        ]
        return super().parse_args(ctx, rewritten + args[len(options) :])

    def _current(self, arg: str) -> str:
        name, equals, value = arg.partition("=")
        if name not in self.former:
            return arg
        print(f"fewpass: {name} is deprecated, use {self.former[name]}", file=sys.stderr)
        return self.former[name] + equals + value


def renamed(former: Mapping[str, str]) -> type[Command]:
    """A `Command` that accepts the keys of `former` in place of its values."""
    return type("RenamedCommand", (Command,), {"former": former})


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command(epilog=OWN, cls=renamed(BATCH_SIZE))(flat(generate))
app.command(epilog=OWN)(flat(compare, without=["decoder"]))
app.command(epilog=OWN, cls=Command)(flat(batch))
app.command()(decoders)
app.command()(models)
app.command()(check)
app.command(cls=renamed(LIMITS))(flat(serve))
app.command("eval", epilog=OWN, cls=renamed(BATCH_SIZE))(flat(evaluate, without=["decoder", "seed"]))
app.command()(flat(demo))
app.command(epilog=OWN, cls=renamed(BATCH_SIZES))(flat(bench, without=["decoder", "negative_prompt", "seed"]))


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
