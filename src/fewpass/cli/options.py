"""The options that commands share, and how their values are read: typer's own messages do not repeat the value."""

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewpass.core.checks import check_unicode, read_size
from fewpass.core.messages import shown
from fewpass.io.prompt_files import FROM_NAMES, read_rows

if TYPE_CHECKING:
    from fewpass.core.protocol import Decoder as AnyDecoder

MANY = 10**6  # images of a prompt


def whole(typed: str) -> int:
    """Read an integer."""
    try:
        return int(typed)
    except ValueError:
        raise ValueError(f"{shown(typed)} is not a whole number") from None


def at_least_one(typed: str) -> int:
    """Read an integer >= 1."""
    number = whole(typed)
    if number < 1:
        raise ValueError(f"{shown(typed)} is less than 1")
    return number


def count(typed: str) -> int:
    """Read a number of images of a prompt."""
    number = at_least_one(typed)
    if number > MANY:
        raise ValueError(f"{shown(typed)} is more than {MANY}")
    return number


def real(typed: str) -> float:
    """Read a number."""
    try:
        return float(typed)
    except ValueError:
        raise ValueError(f"{shown(typed)} is not a number") from None


def text(typed: str) -> str:
    """Read a text that UTF-8 can encode."""
    check_unicode("a text", typed)
    return typed


FILES = "a .txt, .csv, .tsv, .jsonl or .json file, the folder of a benchmark, or - for standard input."
OWN = "* By default the model's own."
MODEL = "A bundled model, a folder in transformers' format, or a hub repository"
Model = Annotated[str, typer.Option(metavar="NAME", help=f"{MODEL}.")]
Decoder = Annotated[
    str | None, typer.Option(metavar="SPELLING", help="Decoder, such as 'sjd(window=16)'; see `fewpass decoders`.")
]
Decoders = Annotated[
    str, typer.Option(metavar="SPELLINGS", help="Decoders separated by ;, such as 'ar; sjd(window=16)', or all.")
]
Count = Annotated[int, typer.Option(parser=count, metavar="N", help="Images of each prompt.")]
Seed = Annotated[
    int | None, typer.Option(parser=whole, metavar="N", help="Seed of the first image; image i uses N + i.")
]
BatchSize = Annotated[int, typer.Option(parser=at_least_one, metavar="N", help="Images drawn at the same time.")]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="cpu or cuda; by default the GPU if there is one.")]
Dtype = Annotated[str | None, typer.Option(metavar="NAME", help="float32, bfloat16, float16 or float64.")]
Ray = Annotated[
    str | None, typer.Option("--ray", metavar="[ADDRESS]", help="Ray cluster; without ADDRESS, this machine.")
]
Cores = Annotated[
    int | None, typer.Option(parser=at_least_one, metavar="N", help="CPU cores of each process on Ray; by default 4.")
]


@dataclass(frozen=True)
class Sampling:
    """Guidance scale, sampling and image size; None is the model's own value."""

    guidance: Annotated[
        float | None, typer.Option(parser=real, metavar="SCALE", help="Guidance scale, 1 for no guidance. *")
    ] = None
    temperature: Annotated[
        float | None, typer.Option(parser=real, metavar="T", help="Temperature; 0 takes the likeliest token. *")
    ] = None
    top_k: Annotated[
        int | None, typer.Option(parser=whole, metavar="K", help="Sample from the K likeliest tokens, 0 for all. *")
    ] = None
    top_p: Annotated[
        float | None, typer.Option(parser=real, metavar="P", help="Sample from the likeliest tokens of mass P. *")
    ] = None
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Image size in pixels; one number is the side of a square. *")
    ] = None

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Width and height. Raises ValueError for another text."""
        return read_size(self.size)

    def options(self) -> dict[str, Any]:
        """The options of `Pipeline.__call__`. Raises ValueError for a size that cannot be read."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"size": self.pixels}

    def check_sampling(self) -> None:
        """Raise ValueError naming the value that is out of range. Imports torch."""
        from fewpass.core import sampling

        given = {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
        sampling.Sampling(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Drawing(Sampling):
    """All options of `Pipeline.__call__` that a drawing depends on, but decoder and seed."""

    negative_prompt: Annotated[
        str | None, typer.Option(parser=text, metavar="TEXT", help="Prompt of the unconditional row. *")
    ] = None


@dataclass(frozen=True)
class Place:
    """The hardware and the precision of a model."""

    device: Device = None
    dtype: Dtype = None
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile: worth it for many images.")] = False


def flat(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn each parameter of a command that is a dataclass into the options that the fields of the class describe."""
    given = inspect.signature(command).parameters.values()
    groups: dict[str, Any] = {p.name: p.annotation for p in given if is_dataclass(p.annotation)}

    @wraps(command)
    def call(**values: Any) -> Any:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        return command(**values)

    options: list[tuple[str, Any, Any]] = []
    for p in given:
        if p.name in groups:
            options += [(field.name, field.type, field.default) for field in fields(groups[p.name])]
        else:
            options.append((p.name, p.annotation, p.default))
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, keyword, default=own, annotation=kind) for name, kind, own in options]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {name: kind for name, kind, _ in options}
    return call


def read_prompts(typed: Sequence[str], file: str | None) -> list[str]:
    """The prompts typed, then those of `file`, see `fewpass.io.prompt_files`.

    Raises ValueError if there is none, one is empty, or the file cannot be read.
    """
    for prompt in typed:
        if not prompt.strip():
            raise ValueError(f"a prompt must be a text, not blank, got {prompt!r}")
        check_unicode("a prompt", prompt)
    rows = [] if file is None else read_rows(file)
    print_unused(file, [{**row.fields, **row.tags} for row in rows])
    prompts = [*typed, *(row.prompt for row in rows)]
    if not prompts:
        raise ValueError("there is no prompt")
    return prompts


def print_unused(file: str | None, columns: Iterable[Iterable[str]]) -> None:
    """Name the columns of `file` that the command ignores."""
    names = list(dict.fromkeys(name for row in columns for name in row if name not in FROM_NAMES))
    if names:
        print(f"{file}: only the prompts are used, not {', '.join(map(repr, names))}", file=sys.stderr)


def read_decoders(spellings: str) -> "list[AnyDecoder]":
    """Decoders separated by `;`, or `all`, without repetitions. Raises ValueError for a text that names none."""
    from fewpass.decoders.recipes import RECIPES, decoder

    names = RECIPES if spellings.strip() == "all" else [name for name in spellings.split(";") if name.strip()]
    chosen = [decoder(name) for name in names]
    if not chosen:
        raise ValueError(f"there is no decoder in {spellings!r}")
    return list({str(one): one for one in chosen}.values())


def check_ray(address: str | None, **options: object) -> None:
    """Raise ValueError for an option that needs --ray where that is not given."""
    for name, value in options.items():
        if address is None and value is not None:
            raise ValueError(f"--{name} {value} has no effect without --ray")
