"""Janus: what it reads and draws with, as its authors and transformers' processor have it."""

import json

import pytest
import torch
from transformers import JanusProcessor
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

import fewpass
from tests.families import CODES, WORDS, numbered, tokenizer_of, write_janus

TEMPLATE = (
    "{% for m in messages %}{{ m.role }} : {% for c in m.content %}{{ c.text }} {% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}: {% endif %}"
)
MESSAGE = {"role": "user", "content": [{"type": "text", "text": "a cat on the moon"}]}


def tokenizer(template=None):
    special = ["<pad>", "<s>", "</s>", "<unk>", "<begin>", "<end>", "<image>"]
    own = tokenizer_of(
        numbered(*special, *WORDS),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        boi_token="<begin>",
        eoi_token="<end>",
        image_token="<image>",
    )
    own.chat_template = template
    return own


@pytest.fixture
def folder(tmp_path):
    return write_janus(tmp_path)


@pytest.mark.parametrize("template", [None, TEMPLATE])
def test_prompt_ids_are_those_of_the_processor(folder, template):
    own = tokenizer(template)
    own.save_pretrained(folder)
    model = fewpass.load(folder, "cpu").model
    processor = JanusProcessor(JanusImageProcessorPil(), own, chat_template=template)
    text = "a cat on the moon"
    if template:
        text = processor.apply_chat_template([MESSAGE], add_generation_prompt=True)
    expected = processor(text=text, generation_mode="image", return_tensors="pt").input_ids[0]
    assert torch.equal(model.prompt_ids("a cat on the moon", model.grid(None)), expected)


def test_chat_template_of_older_processors_is_read(folder):
    tokenizer().save_pretrained(folder)
    before = fewpass.load(folder, "cpu").model
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    after = fewpass.load(folder, "cpu").model
    assert (before.tokenizer.chat_template, after.tokenizer.chat_template) == (None, TEMPLATE)
    ids = [model.prompt_ids("a cat", model.grid(None)).tolist() for model in (before, after)]
    assert ids[0] != ids[1]
    tokenizer("{{ messages }}").save_pretrained(folder)
    assert fewpass.load(folder, "cpu").model.tokenizer.chat_template == "{{ messages }}", "its own goes before it"


def edited(folder, change):
    """A checkpoint with its generation_config.json changed, or without one."""
    path = folder / "generation_config.json"
    content = change(json.loads(path.read_text()))
    path.unlink() if content is None else path.write_text(json.dumps(content))
    return folder


PLACES = {
    "generation_kwargs": lambda content: content,
    "top level": lambda content: {**content, "generation_kwargs": None, "boi_token_id": 4},
    "tokenizer": lambda content: {**content, "generation_kwargs": {}},
    "tokenizer, without the file": lambda content: None,
}


@pytest.mark.parametrize("place", PLACES)
def test_special_tokens_are_read_from_every_file(folder, place):
    expected = fewpass.load(folder, "cpu")("a cat", seed=3, temperature=9.0).tokens
    if "tokenizer" in place:
        tokenizer().save_pretrained(folder)
    drawn = fewpass.load(edited(folder, PLACES[place]), "cpu")("a cat", seed=3, temperature=9.0).tokens
    assert torch.equal(drawn, expected)


def test_special_tokens_of_the_tokenizer_win_over_the_configuration(folder):
    tokenizer().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {"bos_token_id": 9, "pad_token_id": None}
    (folder / "config.json").write_text(json.dumps(config))
    expected = fewpass.load(folder, "cpu").model
    model = fewpass.load(edited(folder, lambda content: None), "cpu").model
    rows = [own.read("a cat", None, own.grid(None), 5.0)[1].tolist() for own in (expected, model)]
    assert rows == [[0, 0, 4], [0, 0, 4]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generation_kwargs": {}}, "there is no boi_token_id in generation_config.json, nor does the tokenizer"),
        (
            {"generation_kwargs": {"boi_token_id": "4"}},
            "boi_token_id in generation_config.json must be a token id, got '4'",
        ),
        ({"generation_kwargs": 5}, "generation_kwargs in generation_config.json must be an object, got 5"),
        ({"pad_token_id": 10**6}, "pad_token_id in generation_config.json must be a token id, got 1000000"),
    ],
)
def test_unfit_special_tokens_are_refused(folder, change, message):
    with pytest.raises(ValueError, match=message):
        fewpass.load(edited(folder, lambda content: content | change), "cpu")("a cat")


def test_default_sampling_is_unrestricted(folder):
    pipe = fewpass.load(folder, "cpu")
    assert vars(pipe.model.sampling) == {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    own, all_, two = (pipe("a cat", seed=3, temperature=9.0, **k).tokens for k in ({}, {"top_k": CODES}, {"top_k": 2}))
    assert torch.equal(own, all_)
    assert not torch.equal(own, two)
