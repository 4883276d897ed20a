"""The options of an image, spelled out once. Importing this does not load torch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self, TypedDict

from fewpass.core.checks import Size, read_size, scale
from fewpass.core.messages import meant, shown

if TYPE_CHECKING:
    import torch

    from fewpass.core.protocol import Decoder
    from fewpass.engine.prompts import Given

SAMPLING = ("temperature", "top_k", "top_p", "min_p")
UNSUPPORTED = {  # arguments of diffusers' pipelines, and the reason
    "num_inference_steps": "the number of forward passes follows from the image; choose a decoder and its window",
    "callback_on_step_end": "there are no timesteps and no latents; use on_step(canvas)",
    "callback": "there are no timesteps and no latents; use on_step(canvas)",
    "output_type": "a Result holds PIL images and tokens",
    "return_dict": "a call returns a Result",
    "latents": "an image follows from its seed; use seed",
    "prompt_embeds": "give token ids, or features, as the prompt",
    "negative_prompt_embeds": "give token ids, or features, as negative_prompt",
}


class InvalidOption(ValueError):
    """The value of an `option`, or of "prompt", that is not supported."""

    def __init__(self, option: str, message: str):
        super().__init__(message)
        self.option = option


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Attribute a ValueError raised inside to this option."""
    try:
        yield
    except InvalidOption:
        raise
    except ValueError as error:
        raise InvalidOption(option, str(error)) from None


def _option(kind: type, metavar: str, help: str, **more: Any) -> Any:
    """A field of `GenerationOptions`: how it is written in text and JSON, and its help.

    `own`: models have a value of their own. `schema` are pydantic's bounds of the HTTP field; `absent` is the value in
    settings that were written before the option existed.
    """
    return field(default=None, metadata={"kind": kind, "metavar": metavar, "help": help, "schema": {}, **more})


class Options(TypedDict, total=False):
    """The keyword arguments of `Pipeline.__call__` that `GenerationOptions` describes, and their names in diffusers."""

    decoder: "Decoder | str | None"
    guidance: float | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    size: Size | None
    negative_prompt: "Given | None"
    seed: int | Sequence[int] | None
    guidance_scale: float | None
    num_images_per_prompt: int | None
    height: int | None
    width: int | None
    generator: "torch.Generator | Sequence[torch.Generator] | None"


@dataclass(frozen=True, eq=False)
class GenerationOptions:
    """The options that an image depends on, beside its prompt. None is the model's own value.

    Everything that takes or writes options derives them from the fields of this class: `Pipeline.__call__`, `stream`
    and `job`, the command line, the columns of a batch, the HTTP API and the settings of an image.
    """

    decoder: "Decoder | str | None" = _option(
        str, "SPELLING", "Decoder, such as 'sjd(window=16)'; see `fewpass decoders`.", schema={"max_length": 20_000}
    )
    guidance: float | None = _option(float, "SCALE", "Scale of classifier-free guidance, 1 for none.", own=True)
    temperature: float | None = _option(float, "T", "Temperature; 0 takes the likeliest token always.", own=True)
    top_k: int | None = _option(int, "K", "Number of likeliest tokens that are kept, 0 for all.", own=True)
    top_p: float | None = _option(float, "P", "Mass of the likeliest tokens that are kept, 1 for all.", own=True)
    min_p: float | None = _option(
        float, "P", "Least probability of a token that is kept, as a share of the largest.", own=True, absent=0.0
    )
    size: Size | None = _option(object, "WxH", "Size in pixels; one number is a square.")
    negative_prompt: "Given | None" = _option(
        str, "TEXT", "Text that guidance leads away from.", schema={"max_length": 32_000}
    )
    seed: int | Sequence[int] | None = _option(int, "N", "Seed of the first image; image i uses N + i.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Options by their names, or those of diffusers.

        Raises TypeError for a name that does not exist, and ValueError for two names of one option.
        """
        own = dict(options)
        own |= translated(own)
        for name in own:
            if name in UNSUPPORTED:
                raise TypeError(f"{name} is not supported: {UNSUPPORTED[name]}")
            if name not in NAMES:
                raise TypeError(f"{name} is not an option{meant(name, NAMES)}")
        return cls(**own)

    @property
    def given(self) -> dict[str, Any]:
        """The options that are not left to the model, by their names."""
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}

    def checked(self) -> Self:
        """The same options with their values read, as far as that needs no model.

        Raises InvalidOption, a ValueError, naming the value that is out of range.
        """
        from fewpass.core.sampling import Sampling
        from fewpass.decoders import decoder
        from fewpass.engine.prompts import read_prompt

        read: dict[str, Any] = {
            "decoder": decoder,
            "guidance": scale,
            "size": read_size,
            "negative_prompt": lambda value: read_prompt(value, blank=True),
            **{name: lambda value, name=name: getattr(Sampling(**{name: value}), name) for name in SAMPLING},
        }
        values = self.given
        for name in values.keys() & read.keys():
            with naming(name):
                values[name] = read[name](values[name])
        return type(self)(**values)


NAMES = tuple(option.name for option in fields(GenerationOptions))


def translated(options: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments under diffusers' names out of `options`: the given ones, under our names.

    Raises ValueError for two names of one option.
    """
    given = {name: options.pop(name, None) for name in ("guidance_scale", "height", "width", "generator")}
    height, width, generator = given["height"], given["width"], given["generator"]
    if (height is None) != (width is None):
        raise ValueError(f"height and width must be given together, got height={height} and width={width}")
    found = {
        "guidance": given["guidance_scale"],
        "size": None if width is None else (width, height),
        "seed": None if generator is None else _seeds(generator),
    }
    own = {name: value for name, value in found.items() if value is not None}
    for name in own:
        if options.get(name) is not None:
            raise ValueError(f"{name} is given twice, by its own name and by that of diffusers")
    return own


def _seeds(generator: Any) -> int | list[int]:
    """A seed drawn from a generator of torch, or one from each of several."""
    import torch

    from fewpass.engine.seeds import DRAWN

    several = isinstance(generator, list | tuple)
    every = list(generator) if several else [generator]
    if wrong := [one for one in every if not isinstance(one, torch.Generator)]:
        raise ValueError(f"generator must be a torch.Generator, or a list of them, got {shown(wrong[0])}")
    seeds = [int(torch.randint(DRAWN, (), generator=one, device=one.device)) for one in every]
    return seeds if several else seeds[0]
