"""Options of an image are spelled out once: everything that takes or writes them has all of them."""

import inspect
import json
from dataclasses import fields

import pytest
import torch

from fewpass.batch.options import OPTIONS, checked
from fewpass.cli.batch import batch
from fewpass.cli.generate import generate
from fewpass.engine.options import NAMES, GenerationOptions, InvalidOption, Options
from fewpass.engine.request import bind, options_of

PROMPT = "two red stars"


def test_every_option_is_an_argument_of_a_call_and_of_commands():
    assert set(NAMES) <= set(Options.__annotations__)
    for command in (generate, batch):
        assert set(NAMES) <= set(inspect.signature(command).parameters)


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
    assert checked("min_p", "0.25") == 0.25
    with pytest.raises(ValueError, match=r"min_p must lie in \[0, 1\], got 2"):
        checked("min_p", "2")


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
