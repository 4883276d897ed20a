"""The options of a call of transformers' `generate`, read from the objects that it has prepared."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from transformers import (
    EosTokenCriteria,
    GenerationConfig,
    LogitNormalization,
    LogitsProcessor,
    MaxLengthCriteria,
    MinPLogitsWarper,
    PrefixConstrainedLogitsProcessor,
    StoppingCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    UnbatchedClassifierFreeGuidanceLogitsProcessor,
)

from fewpass.core.sampling import Sampling

Guidance = tuple[float, Tensor | None, Tensor | None]  # scale, negative prompts [b, P] and their attention mask
GREEDY = Sampling(temperature=0.0)
WARPERS = {  # in the order in which they are applied
    TemperatureLogitsWarper: "temperature",
    TopKLogitsWarper: "top_k",
    TopPLogitsWarper: "top_p",
    MinPLogitsWarper: "min_p",
}
NEEDLESS = (PrefixConstrainedLogitsProcessor, LogitNormalization)  # the layout is known, laws are normalised anyway
WAYS = ("penalty_alpha", "dola_layers", "prompt_lookup_num_tokens", "assistant_early_exit")  # of decoding: ours instead
OUTPUTS = ("output_scores", "output_logits", "output_attentions", "output_hidden_states")


def unpadded(ids: Tensor, mask: Tensor | None) -> list[Tensor]:
    """The rows of `ids` [B, P] as far as `mask` [B, P] is 1."""
    return list(ids) if mask is None else [row[real.bool()] for row, real in zip(ids, mask, strict=True)]


def read(config: GenerationConfig, processors: Iterable[LogitsProcessor]) -> tuple[Sampling, Guidance]:
    """Read sampling and guidance from the processors, which are not called.

    Raises ValueError naming a processor that would have to be called token by token.
    """
    named: dict[type, LogitsProcessor] = {}
    for processor in processors:
        kind = type(processor)
        if kind not in (*WARPERS, *NEEDLESS, UnbatchedClassifierFreeGuidanceLogitsProcessor):
            raise ValueError(f"{kind.__name__} works on one token at a time, and is not supported")
        if kind in named:
            raise ValueError(f"{kind.__name__} is there twice; switch generate's own off, as with top_k=0")
        named[kind] = processor
    warpers = [kind for kind in named if kind in WARPERS]
    if warpers != [kind for kind in WARPERS if kind in named]:
        raise ValueError(f"temperature, top-k, top-p, min-p are applied in this order, not as {warpers}")
    sampling = _sampling(named) if config.do_sample else GREEDY
    guide = named.get(UnbatchedClassifierFreeGuidanceLogitsProcessor)
    if guide is None:
        return sampling, (1.0, None, None)
    context = guide.unconditional_context  # read, never called: it would run the model, and remember
    return sampling, (float(guide.guidance_scale), context["input_ids"], context["attention_mask"])


def _sampling(named: Mapping[type, LogitsProcessor]) -> Sampling:
    return Sampling(**{name: getattr(named[kind], name) for kind, name in WARPERS.items() if kind in named})


def check(
    config: GenerationConfig, criteria: Iterable[StoppingCriteria], prompt: int, new: int, longest: int | None
) -> None:
    """Raise ValueError for settings that an image of `new` tokens behind a `prompt` of so many cannot follow."""
    for criterion in criteria:
        if type(criterion) not in (MaxLengthCriteria, EosTokenCriteria):
            raise ValueError(f"{type(criterion).__name__} is not supported: an image ends where its layout says")
    if config.num_beams not in (None, 1):
        raise ValueError(f"num_beams must be 1, got {config.num_beams}: there is no beam search")
    for name in OUTPUTS:
        if config.return_dict_in_generate and getattr(config, name, None):
            raise ValueError(f"{name}=True is not supported: the sequences are returned and nothing else")
    for way in WAYS:
        if getattr(config, way, None) is not None:
            raise ValueError(f"{way}={getattr(config, way)} is another way to decode than that of the decoder")
    if config.max_new_tokens is not None and config.max_new_tokens < new:
        raise ValueError(f"the image takes {new} new tokens, more than max_new_tokens={config.max_new_tokens}")
    if longest is not None and longest < prompt + new:
        raise ValueError(f"prompt and image take {prompt + new} tokens, more than max_length={longest}")


def longest(inputs: Mapping[str, Any]) -> int | None:
    """The `max_length` that a call sets; None if it sets none, or max_new_tokens, which goes before it.

    The configuration that `generate` prepares does not distinguish it from the default, which is meant for texts.
    """
    config = inputs.get("generation_config")
    asked = {**(config.to_dict() if config else {}), **inputs}
    return None if asked.get("max_new_tokens") else asked.get("max_length")
