"""Bodies of requests and answers, as in OpenAI's images API; descriptions name the fields that fewpass adds."""

from dataclasses import Field as DataclassField
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from fewpass.engine.options import GenerationOptions
from fewpass.engine.seeds import LIMIT

Format = Literal["png", "jpeg", "webp"]


def _field(option: "DataclassField[Any]") -> Any:
    """An option of fewpass as a field of JSON."""
    kind, bounds = option.metadata["kind"], option.metadata["schema"]
    return Annotated[kind | None, Field(description=f"fewpass: {option.metadata['help']}", **bounds)], None


Options: Any = create_model("Options", **{option.name: _field(option) for option in fields(GenerationOptions)})


class GenerationRequest(Options):
    """`POST /v1/images/generations`. The answer lists accepted fields without effect in `ignored`."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    prompt: str = Field(min_length=1, max_length=32_000, description="Text to draw.")
    model: str | None = Field(None, max_length=512, description="Name of the model served, the default.")
    n: int | None = Field(None, ge=1, le=10, description="Number of images.")
    size: str | None = Field(None, pattern=r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$", description="WIDTHxHEIGHT")
    stream: bool | None = Field(None, description="Answer with server-sent events.")
    partial_images: int | None = Field(None, ge=0, le=3, description="Previews of each image, with `stream`.")
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="url is a data: URL, the default for dall-e-2 and dall-e-3."
    )
    output_format: Format | None = None
    output_compression: int | None = Field(None, ge=0, le=100, description="Quality of JPEG and WebP.")
    background: Literal["auto", "opaque", "transparent"] | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = None
    style: Literal["vivid", "natural"] | None = None
    moderation: Literal["auto", "low"] | None = None
    user: str | None = Field(None, max_length=512)
    safety_identifier: str | None = Field(None, max_length=512)

    seed: int | None = Field(
        None, ge=0, lt=LIMIT, description="fewpass: seed of the first image; image i has `seed` + i."
    )
    window: int | None = Field(
        None, ge=0, description="fewpass: drafts per forward pass, instead of the decoder's own."
    )

    def ignored(self, size: str) -> list[str]:
        """The given fields without effect on images of `size`, "WIDTHxHEIGHT"."""
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
    """The tokens of the prompts by kind."""

    text_tokens: int
    image_tokens: int = 0


class Usage(BaseModel):
    """The tokens of prompts and images."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails


class ImageData(BaseModel):
    """fewpass adds `seed`, which draws the image again, and `passes`, its number of forward passes."""

    b64_json: str | None = None
    url: str | None = Field(default=None, description="A data: URL.")
    seed: int
    passes: int


class ImagesResponse(BaseModel):
    """fewpass adds `ignored`, the fields of the request without effect."""

    created: int
    data: list[ImageData]
    size: str
    output_format: Format
    background: Literal["opaque"] = "opaque"
    usage: Usage
    ignored: list[str]


class ImageEvent(BaseModel):
    """fewpass adds `image_index`, 0 to n - 1, and `ignored`, the fields without effect."""

    b64_json: str
    created_at: int
    size: str
    output_format: Format
    background: Literal["opaque"] = "opaque"
    quality: Literal["auto"] = "auto"
    image_index: int
    ignored: list[str]


class PartialImageEvent(ImageEvent):
    """A preview of an image."""

    type: Literal["image_generation.partial_image"] = "image_generation.partial_image"
    partial_image_index: int


class CompletedEvent(ImageEvent):
    """fewpass adds `seed` and `passes`."""

    type: Literal["image_generation.completed"] = "image_generation.completed"
    usage: Usage
    seed: int
    passes: int


class ModelCard(BaseModel):
    """A model as `/v1/models` lists it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "fewpass"


class ModelList(BaseModel):
    """The answer of `/v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class ErrorDetail(BaseModel):
    """An error; `param` is the field at fault."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every error."""

    error: ErrorDetail
