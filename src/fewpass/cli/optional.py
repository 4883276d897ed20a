"""Command lines that typer cannot parse: `--ray` without an address, and options by the names that they once had."""

import sys
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, ClassVar

from typer.core import TyperCommand

RAY = "--ray"
RAY_ALONE = "local"  # what `--ray` means where no address follows


class Command(TyperCommand):
    """A command whose option --ray may stand alone, and that accepts former names of its options."""

    former: ClassVar[Mapping[str, str]] = {}  # old name -> new name

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = list(takewhile(lambda arg: arg != "--", args))
        spelled = [
            self._current(f"{RAY}={RAY_ALONE}" if arg == RAY and (not after or after.startswith("-")) else arg)
            for arg, after in zip(options, [*options, ""][1:], strict=True)
        ]
        return super().parse_args(ctx, spelled + args[len(options) :])

    def _current(self, arg: str) -> str:
        name, equals, value = arg.partition("=")
        if name not in self.former:
            return arg
        print(f"fewpass: {name} is deprecated, use {self.former[name]}", file=sys.stderr)
        return self.former[name] + equals + value


def renamed(former: Mapping[str, str]) -> type[Command]:
    """A `Command` that accepts the keys of `former` in place of its values, with a line on standard error."""
    return type("RenamedCommand", (Command,), {"former": former})


def check_ray(address: str | None, **options: object) -> None:
    """Raises ValueError for an option that needs --ray where that is not given."""
    for name, value in options.items():
        if address is None and value is not None:
            raise ValueError(f"--{name} {value} has no effect without {RAY}")
