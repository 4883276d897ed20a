"""The command line: `main` turns arguments into files, and errors into one line and an exit code."""

import io
import sys
from collections.abc import Sequence
from typing import cast

FAILED, INTERRUPTED = 2, 130
LONGEST = 1200  # characters of a message


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for input or a model that will not do, or 130 after Ctrl-C."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text of the terminal's
    try:
        import typer

        from fewpass.cli.app import app
        from fewpass.core.errors import ModelError, OutOfMemory

        # All that typer raises about arguments: ClickException, which has no public name of its own.
        usage_error = cast(type[typer.BadParameter], typer.BadParameter.__mro__[2])
        try:
            return app(argv, prog_name="fewpass", standalone_mode=False) or 0
        except usage_error as error:
            return _fail(error.format_message().replace("Value error, ", ""))
        except (ValueError, ModelError, OutOfMemory) as error:
            return _fail(error)
        except OSError as error:
            return _fail(f"{error.filename!r}: {error.strerror}" if error.filename else error)
        except typer.Abort:
            return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED


def _fail(message: object) -> int:
    text = " ".join(line.strip() for line in str(message).splitlines())
    if len(text) > LONGEST:  # typed, most of it; the reason is at either end
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    print("fewpass:", text, file=sys.stderr)
    return FAILED
