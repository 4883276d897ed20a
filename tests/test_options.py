"""Options of an image are spelled out once: everything that takes or writes them has all of them."""

import inspect
import json
from dataclasses import fields

import pytest
import torch

from fewpass.batch.entries import OPTIONS, read_options
from fewpass.cli.batch import batch
from fewpass.cli.generate import generate
from fewpass.cli.options import flat
from fewpass.engine.options import NAMES, GenerationOptions, InvalidOption, Options
from fewpass.engine.request import bind, options_of

PROMPT = "two red stars"


def test_every_option_is_an_argument_of_a_call_and_of_commands():
    assert set(NAMES) <= set(Options.__annotations__)
    for command in (generate, batch):
        assert set(NAMES) <= set(inspect.signature(flat(command)).parameters)


def test_every_option_is_a_field_of_the_http_api():
    schema = pytest.importorskip("fewpass.serve.schema")
    assert set(NAMES) <= set(schema.GenerationRequest.model_fields)


def test_every_option_is_a_column_of_a_batch():
    assert {*OPTIONS, "seed"} == set(NAMES)


def test_every_option_is_in_the_settings_of_an_image(pipeline):
    result = pipeline(PROMPT, seed=1)
    assert set(NAMES) <= set(result.settings[0])
    assert set(options_of(result.settings[0], pipeline.model)) == {"prompt", *NAMES}


def test_min_p_holds_for_calls_streams_jobs_and_settings(pipeline):
    options = {"decoder": "sjd", "seed": 3, "min_p": 0.5}
    result = pipeline(PROMPT, **options)
    assert not torch.equal(result.tokens, pipeline(PROMPT, **options | {"min_p": 0.0}).tokens)
    ((_, streamed),) = pipeline.stream([PROMPT], **options)
    ((_, alone),) = pipeline.stream([pipeline.job(PROMPT, **options)])
    again = pipeline.again(json.loads(json.dumps(result.settings[0])))
    for other in (streamed, alone, again):
        assert torch.equal(other.tokens, result.tokens)


def test_settings_without_min_p_draw_the_image_again(pipeline):
    result = pipeline(PROMPT, seed=3, decoder="sjd")
    older = {name: value for name, value in result.settings[0].items() if name != "min_p"}
    assert torch.equal(pipeline.again(older).tokens, result.tokens)


def test_min_p_of_a_row_is_read_from_text():
    assert read_options({"min_p": "0.25"}) == {"min_p": 0.25}
    with pytest.raises(ValueError, match=r"min_p must lie in \[0, 1\], got 2"):
        read_options({"min_p": "2"})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("decoder", "fast"),
        ("guidance", -1),
        ("temperature", -1),
        ("top_k", 0.5),
        ("top_p", 0),
        ("min_p", 2),
        ("size", (99, 8)),
        ("negative_prompt", 1.5),
    ],
)
def test_an_error_names_its_option(pipeline, option, value):
    with pytest.raises(InvalidOption) as error:
        bind(pipeline.model, GenerationOptions(**{option: value}))
    assert error.value.option == option


@pytest.mark.parametrize(
    ("prompt", "options", "culprit"),
    [
        ("dragon", {}, "prompt"),
        (PROMPT, {"negative_prompt": "dragon"}, "negative_prompt"),
        (PROMPT, {"guidance": 1e7}, "guidance"),
    ],
)
def test_an_error_of_reading_names_what_was_read(pipeline, prompt, options, culprit):
    with pytest.raises(InvalidOption) as error:
        pipeline.job(prompt, **options)
    assert error.value.option == culprit


def test_a_prompt_is_read_once_for_all_its_images(pipeline, monkeypatch):
    read, own = [], type(pipeline.model).prompt_ids
    monkeypatch.setattr(type(pipeline.model), "prompt_ids", lambda *args: read.append(1) or own(*args))
    pipeline(PROMPT, decoder="sjd", count=3, seed=0)
    assert len(read) == 1


def test_an_unknown_option_is_a_type_error(pipeline):
    with pytest.raises(TypeError, match=r"^guidence is not an option \(did you mean 'guidance'\?\)$"):
        pipeline(PROMPT, guidence=3)


def test_options_have_help_and_a_kind():
    for option in fields(GenerationOptions):
        assert option.metadata["kind"] in (float, int, str, object)
        assert option.metadata["help"].endswith(".")


def test_names_of_diffusers_mean_the_same(pipeline):
    theirs = pipeline(PROMPT, guidance_scale=2.0, num_images_per_prompt=2, height=8, width=8, seed=3, decoder="sjd")
    ours = pipeline(PROMPT, guidance=2.0, count=2, size=(8, 8), seed=3, decoder="sjd")
    assert torch.equal(theirs.tokens, ours.tokens)
    assert theirs.settings == ours.settings
    streamed = list(pipeline.stream([PROMPT], guidance_scale=2.0, num_images_per_prompt=2, seed=3, decoder="sjd"))
    assert torch.equal(dict(streamed)[1].tokens[0], ours.tokens[1])
    assert pipeline.job(PROMPT, guidance_scale=2.0).guidance == 2.0


def test_a_generator_of_torch_draws_the_seeds(pipeline):
    def generator(seed):
        return torch.Generator().manual_seed(seed)

    one, same = (pipeline(PROMPT, generator=generator(5), decoder="ar", count=2) for _ in range(2))
    assert one.seeds == same.seeds
    assert one.seeds[1] == one.seeds[0] + 1
    several = pipeline(PROMPT, generator=[generator(5), generator(6)], decoder="ar")
    assert several.seeds[0] == one.seeds[0]
    assert len(set(several.seeds)) == 2


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"num_inference_steps": 50}, TypeError, "^num_inference_steps is not supported: the number of forward passes"),
        ({"callback_on_step_end": print}, TypeError, r"use on_step\(canvas\)$"),
        ({"guidance": 2, "guidance_scale": 2}, ValueError, "^guidance is given twice"),
        ({"count": 2, "num_images_per_prompt": 2}, ValueError, "^count is given twice"),
        ({"seed": 2, "generator": torch.Generator()}, ValueError, "^seed is given twice"),
        ({"generator": 5}, ValueError, r"^generator must be a torch\.Generator, or a list of them, got 5$"),
        ({"generator": [torch.Generator(), None]}, ValueError, "got None$"),
        ({"height": 8}, ValueError, "^height and width must be given together, got height=8 and width=None$"),
    ],
)
def test_names_of_diffusers_without_a_meaning_are_refused(pipeline, options, kind, message):
    with pytest.raises(kind, match=message):
        pipeline(PROMPT, **options)


def test_representations_are_one_short_line(pipeline):
    result = pipeline([PROMPT] * 20, seed=1, decoder="ar")
    for value in (pipeline, result, result.trace):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 250
    assert repr(pipeline) == f"Pipeline(Janus {pipeline.model.name!r}, float64 on cpu)"
    assert "20 x 8x8 pixels, seeds [1, 2, 3" in repr(result)
    assert "passes [16, 16" in repr(result.trace)


def test_progress_is_silent_where_there_is_no_terminal_and_changes_nothing(pipeline, capsys):
    stop = {"on_step": lambda canvas: max(canvas.lengths) < 3}
    result = pipeline(PROMPT, seed=1, decoder="ar", progress=True, **stop)
    assert (result.tokens >= 0).sum() == 3
    assert capsys.readouterr() == ("", "")


def test_progress_is_a_bar_on_a_terminal(pipeline, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    pipeline(PROMPT, seed=1, decoder="ar", progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "16/16 tokens" in err
