"""Weights in another layout: the same answers, and never those of other weights."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import fewpass
from fewpass.decoders import Query
from fewpass.layouts import ROWS, WideNetwork

PROMPT = "two red stars"


@pytest.fixture
def pipeline(folder):
    return fewpass.load(folder)


@torch.inference_mode()
def answer(pipeline, n, wide):
    """Logits of `n` tokens of one guided image."""
    model = pipeline.model
    network = model.network
    session = model.open([PROMPT], model.grid(None), 3.0, [None])
    if not wide:
        session.network = plain(network)
    index = torch.arange(n)[None]
    return session(Query(index % 7, index))


def plain(network):
    return fewpass.session.Network(network.embed, network.body, network.head, network.layers)


def twin_of(pipeline):
    return pipeline.model.network.columns.body()


def test_windows_are_answered_alike(pipeline):
    assert isinstance(pipeline.model.network, WideNetwork)
    for n in (1, 2, 8, 15):
        got, due = answer(pipeline, n, True), answer(pipeline, n, False)
        assert torch.allclose(got, due, rtol=1e-4, atol=1e-4)


def test_a_window_reads_columns_and_a_single_token_rows(pipeline, monkeypatch):
    read = []
    linear = nn.functional.linear

    def watch(x, weight, bias=None):
        read.append(weight.is_contiguous())
        return linear(x, weight, bias)

    monkeypatch.setattr(nn.functional, "linear", watch)
    session = pipeline.model.open([PROMPT], pipeline.model.grid(None), 3.0, [None])
    for n, columns in ((1, False), (8, True), (ROWS.stop // 2 + 1, False)):
        read.clear()
        with torch.inference_mode():
            session.network.columns.current = False
            index = (torch.arange(n) % 15)[None]
            session(Query(index % 7, index))
        assert (not all(read)) == columns
    with torch.enable_grad():  # whoever wants gradients gets them of the model's own weights
        read.clear()
        session(Query(torch.zeros(1, 8, dtype=torch.long), torch.arange(8)[None]))
        assert all(read)


def test_training_between_two_drawings_is_seen(pipeline):
    before = answer(pipeline, 8, True)
    with torch.no_grad():
        for module in pipeline.model.network.body.model.modules():
            if type(module) is nn.Linear:
                module.weight.data.mul_(1.5)  # behind the back of version counters
    after = answer(pipeline, 8, True)
    assert not torch.allclose(after, before, atol=1e-3)
    assert torch.allclose(after, answer(pipeline, 8, False), rtol=1e-4, atol=1e-4)


def test_other_modules_are_seen(pipeline):
    answer(pipeline, 8, True)
    layer = pipeline.model.network.body.model.layers[0].mlp
    layer.up_proj = nn.Linear(layer.up_proj.in_features, layer.up_proj.out_features, bias=True)
    assert torch.allclose(answer(pipeline, 8, True), answer(pipeline, 8, False), rtol=1e-4, atol=1e-4)


def test_another_body_has_other_columns(pipeline):
    network = pipeline.model.network
    answer(pipeline, 8, True)
    calls = []

    def other(*inputs):
        calls.append(inputs)
        return network.body(*inputs)

    pipeline.model.network = replace(network, body=other)
    answer(pipeline, 8, True)
    assert len(calls) == 2  # the prompt, and the window
    moved = replace(network, positions=lambda position, offset: position)
    assert moved.columns is not network.columns
    assert moved.columns.original is network.body


def test_the_model_itself_is_left_alone(pipeline):
    model = pipeline.model.network.body.model
    before = {name: (id(p), p.stride()) for name, p in model.named_parameters()}
    answer(pipeline, 8, True)
    assert before == {name: (id(p), p.stride()) for name, p in model.named_parameters()}
    twins = dict(twin_of(pipeline).model.named_parameters())
    assert {id(twins[name]) == before[name][0] for name in before if "norm" in name} == {True}


@pytest.mark.parametrize("change", ["dtype", "room", "layers"])
def test_where_a_twin_is_not_worth_it_there_is_none(pipeline, monkeypatch, change):
    body = pipeline.model.network.body
    assert twin_of(pipeline) is not body
    if change == "dtype":
        pipeline.model.model.double()
    if change == "room":
        monkeypatch.setattr("fewpass.layouts.ROOM", 100)
    if change == "layers":  # of a library that puts its own in their place

        class Other(nn.Linear):
            pass

        for module in body.model.modules():
            if type(module) is nn.Linear:
                module.__class__ = Other
    pipeline.model.network.columns.current = False
    assert twin_of(pipeline) is body


def test_convolutions_lie_by_channels_and_make_the_same_pixels(folder, pipeline):
    wrapped = fewpass.wrap(type(pipeline.model.model).from_pretrained(folder))
    codes = torch.arange(16)[None]
    shown, due = (pipe.model.pixels(codes, pipe.model.grid(None)).int() for pipe in (pipeline, wrapped))
    assert (shown - due).abs().max() <= 1  # rounding
    assert shown.float().std() > 1
    weights = [
        [module.weight for module in pipe.model.model.modules() if isinstance(module, nn.Conv2d)]
        for pipe in (pipeline, wrapped)
    ]
    mine, own = ([w.stride(1) == 1 for w in each if w.shape[1] > 1 and w.shape[-1] > 1] for each in weights)
    assert all(mine)
    assert not any(own)
