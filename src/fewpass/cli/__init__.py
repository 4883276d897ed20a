"""The command line: `main` turns arguments into files, and errors into one line and an exit code."""

import io
import sys
import warnings
from collections.abc import Sequence
from typing import Any, cast

FAILED, INTERRUPTED = 2, 130
LONGEST = 1200  # characters of a message


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0; 1 if `check` finds a fault or `batch` could not draw every row; 2 after an error in one line; 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for file names that it cannot encode
    warnings.formatwarning = _as_line
    try:
        import typer

        from fewpass.cli.app import app
        from fewpass.core.errors import ModelError, OutOfMemory
        from fewpass.core.messages import shown

        # The base class of typer's errors about arguments, ClickException, has no public name in typer.
        usage_error = cast(type[typer.BadParameter], typer.BadParameter.__mro__[2])
        try:
            words = sys.argv[1:] if argv is None else argv
            return app(words, prog_name="fewpass", standalone_mode=False, obj=list(words)) or 0
        except usage_error as error:
            wrong: list[Any] = getattr(error.__cause__, "errors", list)()  # of pydantic, whose messages lack the value
            return _fail(error.format_message() + "".join(f", got {shown(one['input'])}" for one in wrong))
        except (ValueError, ImportError, ModelError, OutOfMemory) as error:
            return _fail(error)
        except OSError as error:
            return _fail(f"{error.filename!r}: {error.strerror}" if error.filename else error)
        except typer.Abort:
            return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED


def _as_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as the command line prints it: without the place in the code."""
    return f"fewpass: {message}\n"


def _fail(message: object) -> int:
    text = " ".join(line.strip() for line in str(message).splitlines())
    if len(text) > LONGEST:  # the middle repeats a long argument
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    print("fewpass:", text, file=sys.stderr)
    return FAILED
