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


def test_a_template_where_older_processors_kept_it(folder):
    tokenizer().save_pretrained(folder)
    before = fewpass.load(folder, "cpu").model
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    after = fewpass.load(folder, "cpu").model
    assert (before.tokenizer.chat_template, after.tokenizer.chat_template) == (None, TEMPLATE)
    ids = [model.prompt_ids("a cat", model.grid(None)).tolist() for model in (before, after)]
    assert ids[0] != ids[1]
    tokenizer("{{ messages }}").save_pretrained(folder)
    assert fewpass.load(folder, "cpu").model.tokenizer.chat_template == "{{ messages }}", "its own goes before it"


def test_all_codes_are_drawn_from_unless_it_is_told_otherwise(folder):
    pipe = fewpass.load(folder, "cpu")
    assert vars(pipe.model.sampling) == {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    own, all_, two = (pipe("a cat", seed=3, temperature=9.0, **k).tokens for k in ({}, {"top_k": CODES}, {"top_k": 2}))
    assert torch.equal(own, all_)
    assert not torch.equal(own, two)
