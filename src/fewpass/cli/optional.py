"""Options that may stand without a value: `--ray` and `--ray ADDRESS`."""

from typing import Any

from typer.core import TyperCommand

RAY = "--ray"
RAY_ALONE = "local"  # what `--ray` means where no address follows


class WithRay(TyperCommand):
    """A command whose option --ray may stand alone: at the end, or before another option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spelled = [
            f"{RAY}={RAY_ALONE}" if arg == RAY and (not after or after.startswith("-")) else arg
            for arg, after in zip(args, [*args[1:], ""], strict=False)
        ]
        return super().parse_args(ctx, spelled)


def check_ray(address: str | None, **options: object) -> None:
    """Raises ValueError for an option that needs --ray where that is not given."""
    for name, value in options.items():
        if address is None and value is not None:
            raise ValueError(f"--{name} {value} has no effect without {RAY}")
