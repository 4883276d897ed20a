"""transformers' `generate`, with images drawn by fewpass.

`model.generate(**inputs, custom_generate=fewpass.mc_sjd(window=32))` draws with Emu3, Chameleon and GLM-Image;
`fewpass.generate(model, **inputs, decoder="mc_sjd(window=32)")` with those and Janus.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel
from transformers.generation import GenerateDecoderOnlyOutput

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.loop import decode
from fewpass.core.protocol import Decoder
from fewpass.decoders.recipes import decoder as decoder_of
from fewpass.engine import seeds as seeding
from fewpass.integrations.generation_config import (
    GREEDY,
    Request,
    check,
    check_honoured,
    check_length,
    longest,
    read,
    unpadded,
)
from fewpass.models import wrap_model
from fewpass.models.base import Model
from fewpass.models.checkpoint import sampling_of

Watch = Callable[[Canvas], object]
Drawn: TypeAlias = Tensor | GenerateDecoderOnlyOutput
AMPLE = 2**20  # new tokens: layouts end by themselves
LOST = (
    *("streamer", "assistant_model", "assistant_tokenizer", "tokenizer", "synced_gpus", "custom_generate"),
    *("inputs_embeds", "cache", "past_key_values", "position_ids"),
)


def generate(
    model: PreTrainedModel,
    *,
    decoder: Decoder | str = "mc_sjd",
    seed: int | Sequence[int] | None = None,
    on_step: Watch | None = None,
    **inputs: Any,
) -> Drawn:
    """What `model.generate(**inputs)` would return, drawn by `decoder`: prompts and tokens [B, P + n]; Janus: [B, N].

    With return_dict_in_generate=True they are the `sequences` of transformers' `GenerateDecoderOnlyOutput`.

    `inputs` are what the model's processor makes, and options of generate. Sampling happens with do_sample=True only;
    then what is left open is the model's own, not top_k=50. `seed` is as in a `Pipeline`; None takes one number from
    torch's global generator. The size of the image is that in the processor's output or the prompt, else `width` and
    `height` in pixels, else the model's own. `on_step(canvas)` sees the canvas after every pass.

    `generate` loses some arguments on their way to a decoder: `streamer` (use `on_step`), `tokenizer`,
    `assistant_model`, `assistant_tokenizer`, `synced_gpus`; others it puts among what it has prepared itself, where
    nobody can tell: `cache` or `past_key_values`, `position_ids`, a `max_length` that is too short for the image. Here
    they are refused, as are `inputs_embeds` and other ways of decoding, such as `prompt_lookup_num_tokens`.

    Raises ValueError naming what cannot be honoured.
    """
    _check_absent(inputs, LOST)
    mode = inputs.pop("generation_mode", None)
    if mode not in (None, "image"):
        raise ValueError(f"generation_mode={mode!r} is not supported: fewpass draws images; call model.generate")
    artist = Artist(wrap_model(model, None), decoder_of(decoder), seed, on_step)
    artist.check_images(inputs.get("pixel_values"))
    if not artist.model.in_vocabulary:
        return artist.codes(inputs)
    options = _options(artist.model, inputs)
    draw = partial(artist.decoder, longest=longest(inputs))
    return model.generate(**options, custom_generate=draw, seed=seed, on_step=on_step)


def custom_generate(decoder: Decoder, model: PreTrainedModel, input_ids: Tensor, **prepared: Any) -> Drawn:
    """What `generate` calls with all that it has `prepared`: prompts and tokens [B, P + n]."""
    seed, on_step = prepared.pop("seed"), prepared.pop("on_step")
    return Artist(wrap_model(model, None), decoder, seed, on_step).words(input_ids, prepared)


@dataclass(frozen=True)
class Artist:
    """Who draws, and how."""

    model: Model
    decoder: Decoder
    seed: int | Sequence[int] | None
    on_step: Watch | None

    def check_images(self, images: object) -> None:
        if images is not None and not self.model.reads_images:
            raise ValueError(f"{self.model.name} draws from texts only: there are images among the inputs")

    def words(self, input_ids: Tensor, prepared: dict[str, Any]) -> Drawn:
        """Prompts [B, P] and what follows them, [B, P + n]."""
        model, config = self.model, prepared["generation_config"]
        if not model.in_vocabulary:
            raise ValueError(f"{model.name} draws codes that are no tokens of its vocabulary: call fewpass.generate")
        self.check_images((prepared.get("mm_encoder_outputs") or {}).get("image"))
        _check_absent(prepared, ["inputs_embeds"])
        if not input_ids.shape[1]:
            raise ValueError("there are no input_ids")
        prompts = unpadded(model.with_images(input_ids, prepared), prepared.get("attention_mask"))
        prepared["copies"] = config.num_return_sequences or 1
        sizes = {grid.grids: grid for grid in (model.requested(ids, prepared) for ids in prompts)}
        openings = {model.opening(ids, grid) for ids in prompts for grid in sizes.values()}
        if len(sizes) != 1 or len(openings) != 1:
            raise ValueError("images that are drawn together have one size, and prompts that end alike")
        (grid,), (opening,) = sizes.values(), openings
        new = len(opening) + grid.size + len(model.closing)
        check(config, prepared["stopping_criteria"], new)
        check_length(input_ids.shape[1] + new, prepared.get("longest"))
        request = read(config, prepared["logits_processor"], len(prompts))
        tokens = model.words(self.draw(prompts, opening, grid, request)).to(input_ids.device)
        before, after = (tokens.new_tensor(words).expand(len(tokens), -1) for words in (opening, model.closing))
        return _output(torch.cat([input_ids, before, tokens, after], 1), config)

    def codes(self, inputs: dict[str, Any]) -> Drawn:
        """For models whose own `generate` takes no decoder: canvas tokens [B, N]."""
        model = self.model
        limit = longest(inputs)
        config = copy.deepcopy(inputs.pop("generation_config", None) or model.model.generation_config)
        rest = config.update(**inputs)
        ids, mask = (rest.pop(name, None) for name in ("input_ids", "attention_mask"))
        size = {name: rest.pop(name, None) for name in ("width", "height")}
        negative, hidden = (rest.pop(f"negative_prompt_{name}", None) for name in ("ids", "attention_mask"))
        unknown = [name for name, value in rest.items() if value is not None]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: cannot be honoured")
        if ids is None or not ids.shape[1]:
            raise ValueError("there are no input_ids")
        prompts = [row for row in unpadded(ids, mask) for _ in range(config.num_return_sequences or 1)]
        grid = model.requested(prompts[0], size)
        check(config, [], grid.size)
        check_honoured(config, model.model.generation_config)
        check_length(ids.shape[1] + grid.size, limit)
        scale = model.guidance if config.guidance_scale is None else config.guidance_scale
        request = Request(sampling_of(config, model.sampling) if config.do_sample else GREEDY, scale)
        tokens = self.draw(prompts, (), grid, request.contrasted(negative, hidden, len(prompts)))
        return _output(tokens.to(ids.device), config)

    def draw(self, prompts: Sequence[Tensor], opening: Sequence[int], grid: Grid, request: Request) -> Tensor:
        """Canvas tokens [B, N]."""
        opened = [torch.cat([ids, ids.new_tensor(opening)]) for ids in prompts]
        negatives: Sequence[Tensor | None] = [None] * len(prompts)
        if request.negatives is not None:
            negatives = [torch.cat([ids, ids.new_tensor(opening)]) for ids in request.negatives]
        first = int(torch.randint(seeding.DRAWN, ())) if self.seed is None else self.seed
        seeds = torch.tensor(seeding.assign(first, len(prompts)), device=self.model.device)
        with torch.inference_mode():
            session = self.model.open(opened, grid, request.guidance, negatives)
        for canvas in decode(session, self.decoder, request.sampling, seeds):
            if self.on_step is not None:
                self.on_step(canvas)
        return canvas.tokens[:, : grid.size].clone()


def _output(tokens: Tensor, config: GenerationConfig) -> Drawn:
    return GenerateDecoderOnlyOutput(sequences=tokens) if config.return_dict_in_generate else tokens


def _check_absent(arguments: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if arguments.get(name) is not None:
            raise ValueError(f"{name} has no effect on how fewpass draws" + ": use on_step" * (name == "streamer"))


def _options(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """The options of `generate`, where they are open, without the defaults that it has for texts."""
    config = model.model.generation_config
    if "generation_config" in inputs:
        return inputs
    bounded = config.max_length or config.max_new_tokens or "max_length" in inputs
    length = {} if bounded else {"max_new_tokens": AMPLE}
    return {**length, **(asdict(model.sampling) if inputs.get("do_sample", config.do_sample) else {}), **inputs}
