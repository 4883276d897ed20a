"""Prompts become images: what a call takes, gives and refuses."""

import math
from types import SimpleNamespace

import numpy
import pytest
import torch
import torch.nn.functional as F

import fewpass
from fewpass import Sampling, ar
from fewpass.engine.request import default_decoder
from fewpass.pipeline import BLANK
from tests.test_session import full_pass, row
from tests.tiny import BEGIN, BOS, CODES, PAD, SIDE

N = SIDE**2
PROMPTS = ["red stars", "two blue stars on a red background"]


def test_result_holds_images_tokens_seeds_and_trace(pipeline):
    result = pipeline(PROMPTS, seed=5)
    assert [image.size for image in result.images] == [(2 * SIDE, 2 * SIDE)] * 2
    assert [image.mode for image in result.images] == ["RGB"] * 2
    assert result.tokens.shape == (2, N)
    assert result.tokens.dtype == torch.long
    assert 0 <= result.tokens.min() <= result.tokens.max() < CODES
    assert result.seeds == [5, 6]
    assert result.trace.committed.shape == (2, N)
    assert 0 < result.trace.model_seconds < result.trace.seconds
    assert result.logprobs is None


def test_autoregression_takes_a_pass_for_each_token(pipeline):
    assert pipeline(PROMPTS, decoder="ar", seed=0).trace.passes.tolist() == [N, N]


def test_default_decoder_is_lossless_and_draws_the_tokens_of_ar(pipeline):
    result = pipeline(PROMPTS, seed=0)
    assert result.settings[0]["lossless"] is True
    assert result.settings[0]["decoder"] != "ar"
    assert torch.equal(result.tokens, pipeline(PROMPTS, seed=0, decoder="ar").tokens)


def test_default_decoder_has_16_drafts_on_a_cpu_and_32_elsewhere(pipeline):
    assert str(default_decoder(pipeline.model)) == "jacobi_ngram(window=16, branches=0)"
    elsewhere = SimpleNamespace(device=torch.device("meta"))
    assert str(default_decoder(elsewhere)) == "jacobi_ngram(window=32, branches=0)"


def test_pictures_are_those_of_the_tokens(pipeline):
    result = pipeline(PROMPTS, seed=0)
    with torch.inference_mode():
        signed = pipeline.model.model.decode_image_tokens(result.tokens)[1]
    expected = ((signed.clamp(-1, 1) + 1) / 2 * 255).to(torch.uint8)  # cut off, as in the authors' script
    assert torch.equal(torch.from_numpy(numpy.array(result.images[1])), expected)


def test_settings_draw_the_image_again(pipeline):
    result = pipeline(PROMPTS, seed=[8, 3], decoder="sjd(window=4)", guidance=2.0, temperature=0.8, top_k=9, top_p=0.9)
    for i, settings in enumerate(result.settings):
        names = ("prompt", "seed", "decoder", "guidance", "temperature", "top_k", "top_p", "negative_prompt", "size")
        again = pipeline(**{name: settings[name] for name in names} | {"size": tuple(settings["size"])})
        assert torch.equal(again.tokens[0], result.tokens[i])


# Seeds and counts.


def test_number_counts_up_over_all_images(pipeline):
    together = pipeline(PROMPTS, seed=7, count=2)
    assert together.seeds == [7, 8, 9, 10]
    assert [s["prompt"] for s in together.settings] == [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2
    assert torch.equal(pipeline(PROMPTS[1], seed=9).tokens[0], together.tokens[2])


def test_list_of_seeds_gives_a_single_prompt_as_many_images(pipeline):
    result = pipeline(PROMPTS[0], seed=[4, 4, 2])
    assert result.seeds == [4, 4, 2]
    assert torch.equal(result.tokens[0], result.tokens[1])
    assert not torch.equal(result.tokens[0], result.tokens[2])


def test_none_draws_seeds_and_records_them(pipeline):
    first, second = pipeline(PROMPTS), pipeline(PROMPTS)
    assert first.seeds != second.seeds
    assert torch.equal(pipeline(PROMPTS, seed=first.seeds).tokens, first.tokens)


def test_recipe_may_be_a_value_or_its_spelling(pipeline):
    assert torch.equal(
        pipeline(PROMPTS, seed=0, decoder=fewpass.sjd(3)).tokens, pipeline(PROMPTS, seed=0, decoder="sjd(3)").tokens
    )


# Guidance.


def test_guidance_is_the_models_own_by_default(pipeline):
    own, three, none = (pipeline(PROMPTS, seed=0, guidance=g).tokens for g in (None, 3.0, 1))
    assert torch.equal(own, three)
    assert not torch.equal(own, none)


def test_guidance_1_runs_one_row_for_each_image(pipeline, monkeypatch):
    rows = []
    body = pipeline.model.network.body
    hook = body.model.register_forward_pre_hook(
        lambda model, args, kwargs: rows.append(len(kwargs["inputs_embeds"])), with_kwargs=True
    )
    pipeline(PROMPTS, seed=0, guidance=1, decoder="ar")
    pipeline(PROMPTS, seed=0, guidance=2, decoder="ar")
    hook.remove()
    assert rows == [2] * N + [4] * N


def test_negative_prompt_takes_the_place_of_padding(pipeline):
    plain = pipeline(PROMPTS, seed=0).tokens
    assert not torch.equal(pipeline(PROMPTS, seed=0, negative_prompt="a background").tokens, plain)
    # Guidance away from the prompt itself is no guidance.
    against_itself = pipeline(PROMPTS[0], seed=0, negative_prompt=PROMPTS[0]).tokens
    assert torch.equal(against_itself, pipeline(PROMPTS[0], seed=0, guidance=1).tokens)


# Steps.


def test_every_pass_is_seen(pipeline):
    lengths = []
    result = pipeline(PROMPTS, seed=0, on_step=lambda canvas: lengths.append(canvas.lengths))
    assert len(lengths) == result.trace.passes.max()
    assert lengths[0] == [1, 1]
    assert lengths[-1] == [N, N]


@pytest.mark.parametrize("go_on", [None, True, 0, ""])
def test_only_false_stops(pipeline, go_on):
    assert (pipeline(PROMPTS, seed=0, on_step=lambda canvas: go_on).tokens >= 0).all()


def test_drawing_that_is_stopped_is_grey_where_it_is_not_final(pipeline):
    whole = pipeline(PROMPTS, seed=0, decoder="ar")
    part = pipeline(PROMPTS, seed=0, decoder="ar", on_step=lambda canvas: min(canvas.lengths) < 6, logprobs=True)
    assert torch.equal(part.tokens[:, :6], whole.tokens[:, :6])
    assert (part.tokens[:, 6:] == -1).all()
    assert (part.logprobs[:, 6:] == 0).all()
    assert (part.logprobs[:, :6] < 0).all()
    assert part.trace.passes.tolist() == [6, 6]
    image, full = part.images[0], whole.images[0]
    grey = [image.getpixel((2 * (k % SIDE), 2 * (k // SIDE))) == (BLANK,) * 3 for k in range(N)]
    assert grey[6:] == [True] * (N - 6)
    assert grey[:6] != [True] * 6
    assert image.size == full.size


# Log-probabilities.


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_logprobs_are_those_of_the_final_law(pipeline, guidance):
    sampling = {"temperature": 0.8, "top_k": 12, "top_p": 0.9}
    result = pipeline(PROMPTS, seed=0, decoder="mc_sjd", guidance=guidance, logprobs=True, **sampling)
    assert result.logprobs.shape == (2, N)
    for prompt, tokens, logprobs in zip(PROMPTS, result.tokens, result.logprobs, strict=True):
        ids = row(pipeline, prompt)
        nothing = torch.tensor([BOS, *[PAD] * (len(ids) - 2), BEGIN])
        with torch.inference_mode():
            told, free = (full_pass(pipeline, i, tokens)[:N] for i in (ids, nothing))
        law = Sampling(**sampling)(free + guidance * (told - free))
        by_hand = law.gather(1, tokens[:, None])[:, 0].log()
        assert logprobs.dtype == torch.float64
        assert (logprobs - by_hand).abs().max() < 1e-10


def test_logprobs_without_truncation_are_cross_entropies(pipeline):
    result = pipeline(PROMPTS[0], seed=0, guidance=1, logprobs=True)
    with torch.inference_mode():
        logits = full_pass(pipeline, row(pipeline, PROMPTS[0]), result.tokens[0])[:N]
    assert -result.logprobs.sum().item() == pytest.approx(
        F.cross_entropy(logits, result.tokens[0], reduction="sum").item(), rel=1e-12
    )


def test_logprobs_at_temperature_0_are_0(pipeline):
    assert not pipeline(PROMPTS, temperature=0, logprobs=True).logprobs.any()


# What is refused.

REFUSED = {
    "unknown decoder": ({"decoder": "fast"}, "unknown decoder 'fast'"),
    "unknown option": ({"decoder": "sjd(width=3)"}, "sjd has no option 'width'"),
    "window below 0": ({"decoder": "sjd(window=-2)"}, "window .*-2"),
    "empty prompt": ({"prompt": ""}, "a prompt must say something, got ''"),
    "blank prompt": ({"prompt": ["one", " \n"]}, r"a prompt must say something, got ' \\n'"),
    "no prompt": ({"prompt": []}, "there is no prompt"),
    "no text": ({"prompt": 3}, "draws no classes: a prompt must be a text or a tensor of token ids, got 3"),
    "unknown words": (
        {"prompt": "two green stars with hats"},
        r"'green', 'with', 'hats'; its tokenizer.json lists all \d+ words",
    ),
    "unknown word of the negative prompt": ({"negative_prompt": "ugly"}, "unknown to .*'ugly'"),
    "seed below 0": ({"seed": -1}, "a seed must lie in .*got -1"),
    "seed too large": ({"seed": 2**63}, f"a seed must lie in .*got {2**63}"),
    "seed of text": ({"seed": "abc"}, "a seed must be a whole number, got 'abc'"),
    "no seeds": ({"seed": []}, "there is no seed"),
    "too few seeds": ({"prompt": ["one", "two"], "seed": [1]}, "1 seeds for 2 images"),
    "count 0": ({"count": 0}, "count must be a whole number >= 1, got 0"),
    "count of a half": ({"count": 1.5}, "count must be a whole number >= 1, got 1.5"),
    "temperature below 0": ({"temperature": -1}, "temperature must be a number >= 0, got -1"),
    "top_k below 0": ({"top_k": -1}, "top_k must be .*got -1"),
    "top_p 0": ({"top_p": 0}, r"top_p must lie in \(0, 1\], got 0"),
    "top_p above 1": ({"top_p": 1.01}, r"top_p must lie in \(0, 1\], got 1.01"),
    "guidance below 0": ({"guidance": -2}, "guidance must be a number >= 0, got -2"),
    "guidance not a number": ({"guidance": math.nan}, "guidance must be a number >= 0, got nan"),
    "negative prompt without guidance": (
        {"guidance": 1, "negative_prompt": "one"},
        "negative_prompt 'one' has no effect without guidance",
    ),
    "another size": ({"size": (99, 8)}, "draws 8x8 only, not 99x8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_that_names_it(pipeline, case):
    settings, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as error:
        pipeline(**{"prompt": "red stars"} | settings)
    assert "\n" not in str(error.value)


def test_pipeline_draws_in_evaluation_mode_without_gradients(pipeline):
    assert not pipeline.model.model.training
    assert pipeline(PROMPTS, seed=0, decoder=ar(), logprobs=True).logprobs.requires_grad is False
