"""The options that commands share, and how numbers are read: typer's own messages do not say what was typed."""

from typing import Annotated

import typer

from fewpass.core.checks import check_unicode
from fewpass.core.messages import shown

MANY = 10**6  # images of a prompt


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
Decoder = Annotated[
    str | None, typer.Option(metavar="SPELLING", help="Such as 'sjd(window=16)'; see `fewpass decoders`.")
]
Decoders = Annotated[
    str, typer.Option(metavar="SPELLINGS", help="With ; between them, such as 'ar; sjd(window=16)', or all.")
]
Count = Annotated[int, typer.Option(parser=count, metavar="N", help="Images of each prompt.")]
Guidance = Annotated[
    float | None, typer.Option(parser=real, metavar="SCALE", help="Of classifier-free guidance, 1 for none. *")
]
Temperature = Annotated[float | None, typer.Option(parser=real, metavar="T", help="0: the likeliest token always. *")]
TopK = Annotated[int | None, typer.Option(parser=whole, metavar="K", help="Only the K likeliest tokens, 0 for all. *")]
TopP = Annotated[
    float | None, typer.Option(parser=real, metavar="P", help="Only the likeliest tokens that hold mass P. *")
]
Seed = Annotated[
    int | None, typer.Option(parser=whole, metavar="N", help="Of the first image; the next have N+1, N+2, ...")
]
Size = Annotated[
    str | None, typer.Option(metavar="WxH", help="In pixels, for models that draw several sizes; one number: a square.")
]
NegativePrompt = Annotated[str | None, typer.Option(parser=text, metavar="TEXT", help="What guidance leads away from.")]
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
