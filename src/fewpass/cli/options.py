"""The options that commands share."""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewpass.engine.options import GenerationOptions

if TYPE_CHECKING:
    from fewpass.core.canvas import Grid
    from fewpass.core.protocol import Decoder
    from fewpass.models.base import Model as Loaded

DEFAULT = GenerationOptions()
LOCAL = ("127.0.0.1", "localhost", "::1")


def option(metavar: str, help: str, *names: str, **more: Any) -> Any:
    """An option with a value."""
    return typer.Option(*names, metavar=metavar, help=help, **more)


def number(help: str, least: int | None = 1, most: int | None = None) -> Any:
    """An option with an integer."""
    return option("N", help, min=least, max=most)


FILES = "a .txt, .csv, .tsv, .jsonl or .json file, the folder of a benchmark, or - for standard input."
OWN = "* By default the model's own."
MODEL = "A bundled model, a folder in transformers' format, or a hub repository"
Model = Annotated[str, option("NAME", f"{MODEL}.")]
Decoders = Annotated[str, option("SPELLINGS", "Decoders separated by ;, such as 'ar; sjd(window=16)', or all.")]
Count = Annotated[int, number("Images of each prompt.", most=10**6)]
BatchSize = Annotated[int, number("Images drawn at the same time.")]
Device = Annotated[str | None, option("NAME", "cpu or cuda; by default the GPU if there is one.")]
Dtype = Annotated[str | None, option("NAME", "float32, bfloat16, float16 or float64.")]
Ray = Annotated[str | None, option("ADDRESS", "Ray cluster, auto for the present one, local for this machine.")]
Cores = Annotated[int | None, number("CPU cores of each process on Ray; by default up to 4.")]


@dataclass(frozen=True)
class Place:
    """The hardware and the precision of a model."""

    device: Device = None
    dtype: Dtype = None
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile: worth it for many images.")] = False


def flat(command: Callable[..., Any], without: Collection[str] = ()) -> Callable[..., Any]:
    """Turn each parameter of a command that is a dataclass into the options that the fields of the class describe.

    `without` are fields of them that the command lacks.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = list[inspect.Parameter]()
    groups = dict[str, tuple[Any, list[str]]]()
    for p in inspect.signature(command).parameters.values():
        own = [p.replace(kind=keyword)]
        if is_dataclass(p.annotation):
            own = [_parameter(field) for field in fields(p.annotation) if field.name not in without]
            groups[p.name] = p.annotation, [one.name for one in own]
        parameters += own

    @wraps(command)
    def call(**values: Any) -> Any:
        for name, (group, names) in groups.items():
            values[name] = group(**{each: values.pop(each) for each in names})
        return command(**values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _parameter(field: "Field[Any]") -> inspect.Parameter:
    """A field of a dataclass as an option; metadata of a field describes it."""
    annotation: Any = field.type
    if about := field.metadata:
        kind: Any = str if about["kind"] is object else about["kind"]
        help = about["help"] + " *" * about.get("own", False)
        annotation = Annotated[kind | None, option(about["metavar"], help)]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotation)


def read_decoders(spellings: str) -> "list[Decoder]":
    """Decoders separated by `;`, or `all`, without repetitions. Raises ValueError for a text that names none."""
    from fewpass.decoders import decoder
    from fewpass.decoders.recipes import RECIPES

    names = RECIPES if spellings.strip() == "all" else [name for name in spellings.split(";") if name.strip()]
    chosen = [decoder(name) for name in names]
    if not chosen:
        raise ValueError(f"there is no decoder in {spellings!r}")
    return list({str(one): one for one in chosen}.values())


def fitting(
    decoders: "Sequence[Decoder]", spellings: str, model: "Loaded", grid: "Grid"
) -> "tuple[list[Decoder], list[str]]":
    """The decoders that work with a model, and a note on each other one.

    Raises ValueError for a decoder that does not, unless the `spellings` were `all`.
    """
    from fewpass.core.protocol import SessionInfo, bind

    good, notes = list["Decoder"](), list[str]()
    for decoder in decoders:
        try:
            bind(decoder, SessionInfo(grid, model.network.codebook))
        except ValueError as error:
            if spellings.strip() != "all":
                raise
            notes.append(f"{error}.")
        else:
            good.append(decoder)
    return good, notes


def check_ray(address: str | None, **options: object) -> None:
    """Raise ValueError for an option that needs --ray where that is not given."""
    for name, value in options.items():
        if address is None and value is not None:
            raise ValueError(f"--{name} {value} has no effect without --ray")
