"""The options that commands share, and how numbers are read: typer's own messages do not say what was typed."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any

import typer

from fewpass.core.checks import check_unicode
from fewpass.core.messages import shown
from fewpass.engine.options import GenerationOptions

MANY = 10**6  # images of a prompt
DEFAULT = GenerationOptions()


def whole(typed: str) -> int:
    try:
        return int(typed)
    except ValueError:
        raise ValueError(f"{shown(typed)} is not a whole number") from None


def at_least_one(typed: str) -> int:
    number = whole(typed)
    if number < 1:
        raise ValueError(f"{shown(typed)} is less than 1")
    return number


def count(typed: str) -> int:
    number = at_least_one(typed)
    if number > MANY:
        raise ValueError(f"{shown(typed)} is more than {MANY}")
    return number


def real(typed: str) -> float:
    try:
        return float(typed)
    except ValueError:
        raise ValueError(f"{shown(typed)} is not a number") from None


def text(typed: str) -> str:
    check_unicode("a text", typed)
    return typed


MODEL = "A bundled model, a folder in transformers' format, or a hub repository."
Model = Annotated[str, typer.Option(metavar="NAME", help=MODEL)]
Decoders = Annotated[
    str, typer.Option(metavar="SPELLINGS", help="With ; between them, such as 'ar; sjd(window=16)', or all.")
]
Count = Annotated[int, typer.Option(parser=count, metavar="N", help="Images of each prompt.")]
Size = Annotated[str | None, typer.Option(metavar="WxH", help="Size in pixels; one number is a square.")]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="cpu or cuda; the GPU if there is one.")]
Dtype = Annotated[str | None, typer.Option(metavar="NAME", help="float32, bfloat16, float16 or float64.")]
Compile = Annotated[bool, typer.Option("--compile", help="With torch.compile: worth it for many images.")]
Ray = Annotated[
    str | None, typer.Option("--ray", metavar="[ADDRESS]", help="On a Ray cluster; this machine without ADDRESS.")
]
Cores = Annotated[
    int | None,
    typer.Option(parser=at_least_one, metavar="N", help="Of each process on the cluster without GPUs; up to 4."),
]
FILES = "a .txt, .csv, .tsv, .jsonl or .json file, a folder of a benchmark, or - for standard input."
OWN = "* The model's own if not given."


def with_options(without: Sequence[str] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of an image, in the place of its parameter `options`, a `GenerationOptions`."""
    asked = {option.name: _parameter(option) for option in fields(GenerationOptions) if option.name not in without}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def run(**given: Any) -> Any:
            options = GenerationOptions(**{name: given.pop(name) for name in asked})
            return command(options=options, **given)

        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            parameters += asked.values() if name == "options" else [parameter.replace(kind=parameter.KEYWORD_ONLY)]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def _parameter(option: Any) -> inspect.Parameter:
    about = option.metadata
    kind: Any = str if about["kind"] is object else about["kind"]
    told = typer.Option(
        parser={int: whole, float: real, str: text}[kind],
        metavar=about["metavar"],
        help=about["help"] + " *" * about.get("own", False),
    )
    annotation = Annotated[kind | None, told]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
