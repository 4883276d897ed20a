"""transformers' `generate`, with images drawn by fewpass.

`model.generate(**inputs, custom_generate=fewpass.custom_generate("mc_sjd(window=32)"))` draws with Emu3, Chameleon and
GLM-Image; `fewpass.generate(model, **inputs, decoder="mc_sjd(window=32)")` with those and Janus.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.generation import GenerateDecoderOnlyOutput

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.messages import shown
from fewpass.core.protocol import Decoder
from fewpass.core.sampling import Sampling
from fewpass.decoders import decoder as decoder_of
from fewpass.engine import seeds as seeding
from fewpass.engine.request import Job, default_decoder
from fewpass.engine.scheduler import Batch
from fewpass.integrations.generation_config import Guidance, check, longest, read, unpadded
from fewpass.models import wrap_model
from fewpass.models.base import Model

Watch = Callable[[Canvas], object]
Drawn: TypeAlias = Tensor | GenerateDecoderOnlyOutput
AMPLE = 2**20  # tokens: layouts end by themselves
LOST = (
    *("streamer", "assistant_model", "assistant_tokenizer", "tokenizer", "synced_gpus", "custom_generate"),
    *("inputs_embeds", "cache", "past_key_values", "position_ids"),
)


def generate(
    model: PreTrainedModel,
    *,
    decoder: Decoder | str | None = None,
    seed: int | Sequence[int] | None = None,
    on_step: Watch | None = None,
    **inputs: Any,
) -> Drawn:
    """Draw with a model of transformers as `model.generate(**inputs)` does, in fewer forward passes.

    Arguments without an effect here are refused: `streamer` (use `on_step`), `tokenizer`, `assistant_model`,
    `synced_gpus`, `past_key_values`, `position_ids`, `inputs_embeds`, a `max_length` that is too short for the image,
    and other ways of decoding, such as `prompt_lookup_num_tokens`.

    Args:
        model: A model of a family in `fewpass models`.
        decoder: A decoder or its spelling; the default is that of a `Pipeline`.
        seed: As in a `Pipeline`; None takes one number from torch's global generator.
        on_step: Called with the canvas after every forward pass.
        inputs: The output of the model's processor, and options of `generate`. Tokens are sampled with do_sample=True
            only; options that are not given are the model's own, not top_k=50. The size of the image is that in the
            processor's output or the prompt, else `width` and `height` in pixels, else the model's own.

    Returns:
        Prompts and image tokens [B, P + n], for Janus the image tokens [B, N]; with return_dict_in_generate=True, they
        are the `sequences` of a `GenerateDecoderOnlyOutput`.

    Raises:
        ValueError: An argument is not supported.
    """
    _check_absent(inputs, LOST)
    mode = inputs.pop("generation_mode", None)
    if mode not in (None, "image"):
        raise ValueError(f"generation_mode={mode!r} is not supported: fewpass draws images; call model.generate")
    for name in ("input_ids", "negative_prompt_ids"):
        _check_ids(name, inputs.get(name))
    own, draw = wrap_model(model, None), partial(custom_generate(decoder), longest=longest(inputs))
    _check_images(own, inputs.get("pixel_values"))
    options = _options(own, inputs)
    if own.vocabulary is None:  # its `generate` gives way to another decoder for texts only, without guidance
        config = inputs.get("generation_config") or model.generation_config
        scale = options.pop("guidance_scale", None) or config.guidance_scale or own.guidance
        negative = (options.pop(f"negative_prompt_{name}", None) for name in ("ids", "attention_mask"))
        draw = partial(draw, guidance=(float(scale), *negative))
    return model.generate(**options, custom_generate=draw, seed=seed, on_step=on_step)


def custom_generate(decoder: Decoder | str | None = None) -> Callable[..., Drawn]:
    """The argument `custom_generate` of transformers' `generate`, with which `decoder` draws.

    The default decoder is that of a `Pipeline`. `generate` then takes `seed`, `on_step`, `width`, `height` and
    `image_sizes` too; see `fewpass.generate`. Raises ValueError for a decoder or an option that does not exist.
    """
    chosen = None if decoder is None else decoder_of(decoder)

    def draw(  # transformers passes on the arguments that are named here
        model: PreTrainedModel,
        input_ids: Tensor,
        *,
        seed: int | Sequence[int] | None = None,
        on_step: Watch | None = None,
        width: int | None = None,
        height: int | None = None,
        image_sizes: Any = None,
        **prepared: Any,
    ) -> Drawn:
        own, size = wrap_model(model, None), {"width": width, "height": height, "image_sizes": image_sizes}
        return Call(own, chosen or default_decoder(own), seed, on_step).sequences(input_ids, {**prepared, **size})

    return draw


@dataclass(frozen=True)
class Call:
    """A model, a decoder and the options of `generate` beside transformers' own."""

    model: Model
    decoder: Decoder
    seed: int | Sequence[int] | None
    on_step: Watch | None

    def sequences(self, input_ids: Tensor, prepared: dict[str, Any]) -> Drawn:
        """Prompts [B, P] and their image tokens, [B, P + n]; without the prompts for codes outside the vocabulary."""
        model, config, guidance = self.model, prepared["generation_config"], prepared.get("guidance")
        if guidance is None and model.vocabulary is None:
            raise ValueError(f"{model.name} draws codes that are no tokens of its vocabulary: call fewpass.generate")
        _check_images(model, (prepared.get("mm_encoder_outputs") or {}).get("image"))
        _check_absent(prepared, ["inputs_embeds"])
        if not input_ids.shape[1]:
            raise ValueError("there are no input_ids")
        prompts = unpadded(input_ids, prepared.get("attention_mask"))
        prepared["copies"] = config.num_return_sequences or 1
        opening, grid = self._layout(prompts, prepared)
        new = len(opening) + grid.size + len(model.closing)
        check(config, prepared["stopping_criteria"], input_ids.shape[1], new, prepared.get("longest"))
        sampling, own = read(config, prepared["logits_processor"])
        drawn = self.draw(prompts, opening, grid, sampling, guidance or own)
        tokens = model.vocabulary_ids(drawn).to(input_ids.device)
        if model.vocabulary is not None:
            before, after = (tokens.new_tensor(words).expand(len(tokens), -1) for words in (opening, model.closing))
            tokens = torch.cat([input_ids, before, tokens, after], 1)
        return GenerateDecoderOnlyOutput(sequences=tokens) if config.return_dict_in_generate else tokens

    def _layout(self, prompts: Sequence[Tensor], arguments: Mapping[str, Any]) -> tuple[tuple[int, ...], Grid]:
        """The token ids between each prompt and its image, and the layout of the images: those of all `prompts`."""
        grids = {grid.grids: grid for grid in (self.model.requested(ids, arguments) for ids in prompts)}
        openings = {self.model.opening(ids, grid) for ids in prompts for grid in grids.values()}
        if len(grids) != 1 or len(openings) != 1:
            raise ValueError("images that are drawn together have one size, and prompts that end alike")
        return openings.pop(), next(iter(grids.values()))

    def draw(
        self, prompts: Sequence[Tensor], opening: Sequence[int], grid: Grid, sampling: Sampling, guidance: Guidance
    ) -> Tensor:
        """Canvas tokens [B, N]; the negative prompts are shared by the images, or there is one for each."""
        (scale, negatives, mask), away = guidance, list[Tensor | None]([None])
        if negatives is not None and scale != 1:
            away = [torch.cat([ids, ids.new_tensor(opening)]) for ids in unpadded(negatives, mask)]
        images, rest = divmod(len(prompts), len(away))
        if rest:
            raise ValueError(f"{len(away)} negative prompts for {len(prompts)} images")
        first = int(torch.randint(seeding.DRAWN, ())) if self.seed is None else self.seed
        jobs = []
        for i, (prompt, seed) in enumerate(zip(prompts, seeding.assign(first, len(prompts)), strict=True)):
            ids, negative = torch.cat([prompt, prompt.new_tensor(opening)]), away[i // images]
            rows = self.model.read(ids, negative, grid, scale)
            jobs.append(Job(self.model, ids, negative, rows, grid, scale, self.decoder, sampling, seed))
        batch = Batch(self.model, jobs)
        batch.draw(self._look)
        return batch.canvas.tokens[:, : grid.size].clone()

    def _look(self, canvas: Canvas) -> None:
        if self.on_step is not None:
            self.on_step(canvas)  # its answer does not count: `generate` returns whole images


def _check_images(model: Model, images: object) -> None:
    if images is not None:
        raise ValueError(f"{model.name} draws from texts only: there are images among the inputs")


def _check_absent(arguments: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if arguments.get(name) is not None:
            raise ValueError(f"{name} has no effect on how fewpass draws" + ": use on_step" * (name == "streamer"))


def _check_ids(name: str, ids: object) -> None:
    if ids is not None and not (isinstance(ids, Tensor) and ids.ndim == 2 + ids.is_floating_point()):
        raise ValueError(f"{name} must be a tensor [B, P] of token ids, got {shown(ids)}")


def _options(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """The options of `generate`, where they are open, without the defaults that it has for texts."""
    config = model.model.generation_config
    if "generation_config" in inputs:
        return inputs
    bounded = config.max_length or config.max_new_tokens or "max_length" in inputs
    length = {} if bounded else {"max_length": AMPLE}
    return {**length, **(asdict(model.sampling) if inputs.get("do_sample", config.do_sample) else {}), **inputs}
