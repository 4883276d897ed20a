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


def option(metavar: str, help: str, *names: str, parser: Callable[[str], Any] | None = None) -> Any:
    """An option with a value."""
    return typer.Option(*names, metavar=metavar, help=help, parser=parser)


def whole(typed: str, least: int | None = None, most: int | None = None) -> int:
    """Read an integer."""
    try:
        number = int(typed)
    except ValueError:
        raise ValueError(f"{shown(typed)} is not a whole number") from None
    if least is not None and number < least:
        raise ValueError(f"{shown(typed)} is less than {least}")
    if most is not None and number > most:
        raise ValueError(f"{shown(typed)} is more than {most}")
    return number


def at_least_one(typed: str) -> int:
    """Read an integer >= 1."""
    return whole(typed, 1)


def count(typed: str) -> int:
    """Read a number of images of a prompt."""
    return whole(typed, 1, MANY)


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


def number(help: str, parser: Callable[[str], Any] = at_least_one) -> Any:
    """An option with an integer, >= 1 unless `parser` reads other ones."""
    return option("N", help, parser=parser)


FILES = "a .txt, .csv, .tsv, .jsonl or .json file, the folder of a benchmark, or - for standard input."
OWN = "* By default the model's own."
MODEL = "A bundled model, a folder in transformers' format, or a hub repository"
Model = Annotated[str, option("NAME", f"{MODEL}.")]
Decoder = Annotated[str | None, option("SPELLING", "Decoder, such as 'sjd(window=16)'; see `fewpass decoders`.")]
Decoders = Annotated[str, option("SPELLINGS", "Decoders separated by ;, such as 'ar; sjd(window=16)', or all.")]
Count = Annotated[int, number("Images of each prompt.", count)]
Seed = Annotated[int | None, number("Seed of the first image; image i uses N + i.", whole)]
BatchSize = Annotated[int, number("Images drawn at the same time.")]
Device = Annotated[str | None, option("NAME", "cpu or cuda; by default the GPU if there is one.")]
Dtype = Annotated[str | None, option("NAME", "float32, bfloat16, float16 or float64.")]
Ray = Annotated[str | None, option("[ADDRESS]", "Ray cluster; without ADDRESS, this machine.", "--ray")]
Cores = Annotated[int | None, number("CPU cores of each process on Ray; by default up to 4.")]


@dataclass(frozen=True)
class Sampling:
    """Guidance scale, sampling and image size; None is the model's own value."""

    guidance: Annotated[float | None, option("SCALE", "Guidance scale, 1 for no guidance. *", parser=real)] = None
    temperature: Annotated[float | None, option("T", "Temperature; 0 takes the likeliest token. *", parser=real)] = None
    top_k: Annotated[int | None, option("K", "Sample from the K likeliest tokens, 0 for all. *", parser=whole)] = None
    top_p: Annotated[float | None, option("P", "Sample from the likeliest tokens of mass P. *", parser=real)] = None
    size: Annotated[str | None, option("WxH", "Image size in pixels; one number is the side of a square. *")] = None

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

    negative_prompt: Annotated[str | None, option("TEXT", "Prompt of the unconditional row. *", parser=text)] = None


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
