"""Bodies of requests and answers, as in OpenAI's images API; the fields that fewpass adds are marked."""

from dataclasses import Field as DataclassField
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from fewpass.engine.options import GenerationOptions
from fewpass.engine.seeds import LIMIT

Format = Literal["png", "jpeg", "webp"]


def _field(option: "DataclassField[Any]") -> tuple[Any, None]:
    """An option of fewpass as a field of JSON."""
    kind, bounds = option.metadata["kind"], option.metadata["schema"]
    return Annotated[kind | None, Field(description=f"fewpass: {option.metadata['help']}", **bounds)], None


if TYPE_CHECKING:

    class Options(BaseModel):
        decoder: str | None
        negative_prompt: str | None
else:
    Options = create_model("Options", **{option.name: _field(option) for option in fields(GenerationOptions)})


class GenerationRequest(Options):
    """`POST /v1/images/generations`. What is accepted and cannot be honoured is named in the answer, as `ignored`."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    prompt: Annotated[str, Field(min_length=1, max_length=32_000, description="What is to be drawn.")]
    model: Annotated[str | None, Field(max_length=512, description="The model served, which is also the default.")] = (
        None
    )
    n: Annotated[int | None, Field(ge=1, le=10, description="How many images.")] = None
    size: Annotated[
        str | None, Field(pattern=r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$", description="WIDTHxHEIGHT")
    ] = None
    stream: Annotated[bool | None, Field(description="Answer with server-sent events.")] = None
    partial_images: Annotated[int | None, Field(ge=0, le=3, description="With `stream`: images on the way.")] = None
    response_format: Annotated[
        Literal["b64_json", "url"] | None, Field(description="url: a data: URL, the default for dall-e-2 and dall-e-3.")
    ] = None
    output_format: Format | None = None
    output_compression: Annotated[int | None, Field(ge=0, le=100, description="Of JPEG and WebP: quality.")] = None
    background: Literal["auto", "opaque", "transparent"] | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = None
    style: Literal["vivid", "natural"] | None = None
    moderation: Literal["auto", "low"] | None = None
    user: Annotated[str | None, Field(max_length=512)] = None
    safety_identifier: Annotated[str | None, Field(max_length=512)] = None

    seed: Annotated[int | None, Field(ge=0, lt=LIMIT, description="fewpass: image i has the seed `seed` + i.")] = None
    window: Annotated[int | None, Field(ge=0, description="fewpass: instead of the decoder's own.")] = None

    def ignored(self, size: str) -> list[str]:
        """The fields given that have no effect on an answer with images of `size`, "WIDTHxHEIGHT"."""
        without_effect = {
            "background": self.background == "transparent",
            "moderation": True,
            "output_compression": self.output_format not in ("jpeg", "webp"),
            "quality": self.quality != "auto",
            "response_format": self.response_format == "url" and self.stream,
            "safety_identifier": True,
            "size": self.size not in ("auto", size),
            "style": True,
            "user": True,
        }
        return [name for name, holds in without_effect.items() if holds and getattr(self, name) is not None]


class InputTokensDetails(BaseModel):
    text_tokens: int
    image_tokens: int = 0


class Usage(BaseModel):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails

    @classmethod
    def of(cls, read: int, drawn: int) -> "Usage":
        """For `read` tokens of prompts and `drawn` tokens of images."""
        details = InputTokensDetails(text_tokens=read)
        return cls(input_tokens=read, output_tokens=drawn, total_tokens=read + drawn, input_tokens_details=details)


class ImageData(BaseModel):
    """`seed` and `passes` are fewpass's: the seed that draws the image again, the forward passes that it took."""

    b64_json: str | None = None
    url: Annotated[str | None, Field(description="A data: URL.")] = None
    seed: int
    passes: int


class ImagesResponse(BaseModel):
    """`ignored` is fewpass's: the fields of the request that had no effect."""

    created: int
    data: list[ImageData]
    size: str
    output_format: Format
    background: Literal["opaque"] = "opaque"
    usage: Usage
    ignored: list[str]


class ImageEvent(BaseModel):
    """`image_index` and `ignored` are fewpass's: which of the `n` images this is, fields that had no effect."""

    b64_json: str
    created_at: int
    size: str
    output_format: Format
    background: Literal["opaque"] = "opaque"
    quality: Literal["auto"] = "auto"
    image_index: int
    ignored: list[str]


class PartialImageEvent(ImageEvent):
    type: Literal["image_generation.partial_image"] = "image_generation.partial_image"
    partial_image_index: int


class CompletedEvent(ImageEvent):
    """`seed` and `passes` are fewpass's."""

    type: Literal["image_generation.completed"] = "image_generation.completed"
    usage: Usage
    seed: int
    passes: int


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "fewpass"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Status(BaseModel):
    status: Literal["ok"] = "ok"
