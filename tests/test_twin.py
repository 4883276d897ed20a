"""Lean twins of small models: the same answers, and never those of other weights."""

from dataclasses import fields, replace

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

import fewpass
import fewpass.runtime.cpu.capability
import fewpass.runtime.cpu.janus_head
from fewpass.core.protocol import Query
from fewpass.runtime.cpu.janus_head import LeanHead
from fewpass.runtime.cpu.llama import Block, Lean
from fewpass.runtime.cpu.network import TwinNetwork
from fewpass.runtime.session import Network
from tests.families import write_emu3
from tests.tiny import CODES, SIDE

PROMPTS = ("two red stars", "one", "a blue on red background")
N = SIDE**2


@pytest.fixture
def pipeline(folder):
    """In float32, with biases wherever the layout may have them, and scales that are nobody's default."""
    made = fewpass.load(folder)
    language = made.model.network.body.model
    torch.manual_seed(1)
    for name, module in language.named_modules():
        if type(module) is nn.Linear and "self_attn" in name:
            module.bias = nn.Parameter(torch.randn(module.out_features) / 3)
        if name.endswith("self_attn"):
            module.scaling = 0.3
        if type(module) is LlamaRMSNorm:
            module.weight.data.uniform_(0.5, 1.5)
    return made


def plain(network):
    return Network(**{part.name: getattr(network, part.name) for part in fields(Network)})


def opened(pipeline, lean, prompts=PROMPTS[:1], guidance=3.0):
    session = pipeline.model.open(prompts, pipeline.model.grid(None), guidance, [None] * len(prompts))
    if not lean:
        session.network = plain(session.network)
    return session


def asked(session, index, **kwargs):
    at = torch.tensor(index).expand(len(session.weights), -1)
    return session(Query(at % 7, at, **kwargs))


@torch.no_grad()
def answer(pipeline, lean, n=8):
    """Logits of `n` tokens of one guided image."""
    return asked(opened(pipeline, lean), range(n))


def assert_near(these, those):
    torch.testing.assert_close(these, those, rtol=1e-4, atol=1e-4)


def twin_of(pipeline):
    twin = pipeline.model.network.twin
    twin.current = False
    return twin.network()


def is_lean(pipeline):
    return isinstance(twin_of(pipeline).body, Lean)


@pytest.fixture(params=["tiny", "emoji", "emu3"])
def any_pipeline(request, tmp_path):
    if request.param == "tiny":
        return request.getfixturevalue("pipeline")
    return fewpass.load("emoji" if request.param == "emoji" else write_emu3(tmp_path / "emu3"), "cpu")


@torch.inference_mode()
@pytest.mark.parametrize("n", [1, 2, 8, 15])
def test_windows_are_answered_alike(pipeline, n):
    for guidance in (1.0, 3.0):
        sessions = [opened(pipeline, lean, guidance=guidance) for lean in (True, False)]
        assert_near(*(asked(session, range(n)) for session in sessions))


@torch.inference_mode()
def test_in_bfloat16_a_twin_is_nearer_to_the_exact_answers_than_the_model_itself(pipeline):
    """Which are those of the same weights in float64."""
    model, turns = pipeline.model.model, pipeline.model.network.body.model.rotary_emb
    kept = turns.inv_freq.clone()  # transformers loads them in float32 always
    model.bfloat16()
    turns.inv_freq = kept
    if not is_lean(pipeline):
        pytest.skip("oneDNN does not multiply in bfloat16 here")
    answers = [asked(opened(pipeline, lean, PROMPTS), range(14)).double() for lean in (True, False)]
    model.double()
    turns.inv_freq = kept
    exact = asked(opened(pipeline, False, PROMPTS), range(14))
    twin, own = ((found - exact)[exact.isfinite()].square().mean().sqrt() for found in answers)
    assert 0 < twin < own, (twin, own)


@torch.inference_mode()
def test_in_bfloat16_what_layers_add_up_to_stays_in_float32(pipeline, monkeypatch):
    pipeline.model.model.bfloat16()
    if not is_lean(pipeline):
        pytest.skip("oneDNN does not multiply in bfloat16 here")
    session, seen, layer = opened(pipeline, True), [], Block.__call__
    monkeypatch.setattr(Block, "__call__", lambda self, x, *rest: seen.append(x.dtype) or layer(self, x, *rest))
    asked(session, range(8))
    assert set(seen) == {torch.float32}


def test_models_of_the_layout_are_answered_by_a_twin(any_pipeline):
    model = any_pipeline.model
    twin = twin_of(any_pipeline)
    assert isinstance(twin.body, Lean)
    assert isinstance(twin.head, LeanHead) == (type(model).__name__ == "Janus")
    grid = model.grid(None) if type(model).__name__ == "Janus" else model.grid((16, 16))
    answers = []
    with torch.no_grad():
        for lean in (True, False):
            prompt = model.random_prompt(5, torch.Generator().manual_seed(0))
            session = model.open([prompt], grid, 2.0, [None])
            session.network = session.network if lean else plain(session.network)
            answers.append(torch.cat([asked(session, range(2)), asked(session, range(2, min(grid.size - 1, 30)))], 1))
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-5 * float(answers[1][answers[1].isfinite()].abs().max()))


@torch.no_grad()
def test_ragged_batches_trees_parts_and_unions_are_answered_alike(pipeline):
    """One after the other in the same sessions: the cache that a step leaves is read by the next."""
    tree = torch.ones(3, 3, N + 3, dtype=torch.bool).tril(3)
    answers = []
    for lean in (True, False):
        session = opened(pipeline, lean, PROMPTS)
        steps = [asked(session, range(4)), asked(session, range(2, 7))]  # the first of them once more
        slots = torch.tensor([7, N, N + 1]).expand(3, -1)
        steps.append(asked(session, (7, 8, 8), slot=slots, sees=tree | (torch.arange(N + 3) < 4)))
        part = session.select(torch.tensor([2, 0]))
        steps += [asked(part, (7,)), asked(part.join(opened(pipeline, lean, PROMPTS)), range(2))]
        answers.append(torch.cat([step.flatten() for step in steps]))
    assert_near(*answers)


def test_a_window_does_not_call_the_model(pipeline, monkeypatch):
    language, session = pipeline.model.network.body.model, opened(pipeline, True)
    calls = []
    forward = type(language).forward
    monkeypatch.setattr(type(language), "forward", lambda *args, **kw: calls.append(1) or forward(*args, **kw))
    with torch.inference_mode():
        asked(session, range(8))
    assert not calls
    with torch.enable_grad():  # whoever wants gradients gets them of the model's own weights
        assert asked(session, range(8)).requires_grad
    assert calls


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("language_model", nn.Linear),
        ("language_model", LlamaRMSNorm),
        ("generation_head", nn.Linear),
        ("generation_embeddings", nn.Embedding),
    ],
)
def test_training_between_two_drawings_is_seen(pipeline, part, kind):
    before = answer(pipeline, True)
    for module in pipeline.model.model.model.get_submodule(part).modules():
        if type(module) is kind:
            module.weight.data.mul_(1.5)  # behind the back of version counters
    after = answer(pipeline, True)
    assert not torch.allclose(after, before, atol=1e-3)
    assert_near(after, answer(pipeline, False))


def test_weights_that_stayed_are_not_copied_again(pipeline):
    answer(pipeline, True)
    first = twin_of(pipeline).body
    answer(pipeline, True)
    assert twin_of(pipeline).body is first


def test_a_session_keeps_the_weights_it_was_opened_with(pipeline):
    with torch.no_grad():
        session = opened(pipeline, True)
        before = asked(session, range(8))
        pipeline.model.network.body.model.layers[0].mlp.up_proj.weight.mul_(1.5)
        assert torch.equal(asked(session, range(8)), before)


def test_other_modules_are_seen(pipeline):
    answer(pipeline, True)
    mlp = pipeline.model.network.body.model.layers[0].mlp
    mlp.up_proj = nn.Linear(mlp.up_proj.in_features, mlp.up_proj.out_features, bias=True)
    assert_near(answer(pipeline, True), answer(pipeline, False))


def test_another_body_has_no_twin_and_other_positions_one_of_their_own(pipeline):
    network = pipeline.model.network
    calls = []

    def other(*inputs):
        calls.append(inputs)
        return network.body(*inputs)

    pipeline.model.network = replace(network, body=other)
    answer(pipeline, True)
    assert len(calls) == 2  # the prompt, and the window
    moved = replace(network, positions=lambda position, offset: position)
    assert isinstance(moved, TwinNetwork)
    assert moved.twin is not network.twin


def test_the_model_itself_is_left_alone(pipeline):
    model = pipeline.model.model
    before = {name: (id(p), p.stride(), p.clone()) for name, p in model.named_parameters()}
    answer(pipeline, True)
    for name, p in model.named_parameters():
        number, stride, values = before[name]
        assert (id(p), p.stride()) == (number, stride)
        assert torch.equal(p, values)


def layers_of_a_library(model):
    """It puts its own in the place of torch's."""

    class Other(nn.Linear):
        pass

    model.layers[-1].mlp.up_proj.__class__ = Other


CHANGES = {
    "double": lambda model: model.double(),
    "half": lambda model: model.half(),
    "mixed": lambda model: model.layers[-1].mlp.up_proj.bfloat16(),
    "layers": layers_of_a_library,
    "hook": lambda model: model.layers[0].mlp.register_forward_hook(lambda *given: None),
    "hook before": lambda model: model.norm.register_forward_pre_hook(lambda *given: None),
    "replaced": lambda model: setattr(model.layers[0].mlp, "forward", model.layers[0].mlp.forward),
    "training": lambda model: model.train(),
    "attention": lambda model: model.set_attn_implementation("eager"),
    "activation": lambda model: setattr(model.config, "hidden_act", "gelu"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_from_the_layout_has_no_twin(pipeline, change):
    assert is_lean(pipeline)
    CHANGES[change](pipeline.model.network.body.model)
    assert not is_lean(pipeline)


def test_large_models_have_no_twin(pipeline, monkeypatch):
    network = pipeline.model.network
    linear = [m for root in (network.body.model, network.head) for m in root.modules() if type(m) is nn.Linear]
    copies = 2 * sum(layer.weight.nbytes for layer in linear)
    monkeypatch.setattr(fewpass.runtime.cpu.capability, "ROOM", copies)
    assert is_lean(pipeline)
    monkeypatch.setattr(fewpass.runtime.cpu.capability, "ROOM", copies - 1)
    assert not is_lean(pipeline)


def test_without_onednn_there_is_no_twin(pipeline, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not is_lean(pipeline)


def test_without_products_in_bfloat16_there_is_no_twin_in_it(pipeline, monkeypatch):
    for supported in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda supported=supported: supported)
        pipeline.model.model.float()
        assert is_lean(pipeline)
        pipeline.model.model.bfloat16()
        assert is_lean(pipeline) == supported


def test_large_codebooks_are_embedded_as_they_are_asked_for(pipeline, monkeypatch):
    network = pipeline.model.network
    monkeypatch.setattr(fewpass.runtime.cpu.janus_head, "CODES", CODES - 1)
    assert twin_of(pipeline).embed == network.embed
    monkeypatch.setattr(fewpass.runtime.cpu.janus_head, "CODES", CODES)
    table = twin_of(pipeline).embed
    assert table != network.embed
    tokens = torch.arange(CODES)[None]
    torch.testing.assert_close(table(tokens), network.embed(tokens))
