"""The CPU fast path: the same answers as the plain network, always with the present weights."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

import fewpass
from fewpass.core.protocol import Query
from fewpass.runtime.cpu import capability, fast, fast_path
from fewpass.runtime.cpu.fast_path import FastPath
from fewpass.runtime.cpu.linear import JanusHead
from fewpass.runtime.cpu.llama import Block, Llama
from tests.families import write_emu3
from tests.tiny import CODES, SIDE

PROMPTS = ("two red stars", "one", "a blue on red background")
N = SIDE**2


@pytest.fixture
def pipeline(folder):
    """In float32, with biases wherever the layout may have them, and scales that are not the default."""
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


def opened(pipeline, on_fast_path, prompts=PROMPTS[:1], guidance=3.0):
    model = pipeline.model
    network = model.network
    try:
        if not on_fast_path:
            model.network = network.body.plain
        return model.open(prompts, model.grid(None), guidance, [None] * len(prompts))
    finally:
        model.network = network


def asked(session, index, **kwargs):
    at = torch.tensor(index).expand(len(session.weights), -1)
    return session(Query(at % 7, at, **kwargs))


@torch.no_grad()
def answer(pipeline, on_fast_path, n=8):
    """Logits of `n` tokens of one guided image."""
    return asked(opened(pipeline, on_fast_path), range(n))


def assert_near(these, those):
    torch.testing.assert_close(these, those, rtol=1e-4, atol=1e-4)


def running(pipeline):
    """The network that would run a drawing begun now."""
    path = pipeline.model.network.body
    path.outdated = True
    with torch.no_grad():
        return path.network


def is_fast(pipeline):
    return isinstance(running(pipeline).body, Llama)


@pytest.fixture(params=["tiny", "emoji", "emu3"])
def any_pipeline(request, tmp_path):
    if request.param == "tiny":
        return request.getfixturevalue("pipeline")
    return fewpass.load("emoji" if request.param == "emoji" else write_emu3(tmp_path / "emu3"), "cpu")


@torch.inference_mode()
@pytest.mark.parametrize("n", [1, 2, 8, 15])
def test_windows_have_the_logits_of_the_plain_network(pipeline, n):
    for guidance in (1.0, 3.0):
        sessions = [opened(pipeline, on_fast_path, guidance=guidance) for on_fast_path in (True, False)]
        assert_near(*(asked(session, range(n)) for session in sessions))


@torch.inference_mode()
def test_fast_path_in_bfloat16_is_nearer_to_float64_than_the_plain_network(pipeline):
    model, turns = pipeline.model.model, pipeline.model.network.body.model.rotary_emb
    kept = turns.inv_freq.clone()  # transformers loads them in float32 always
    model.bfloat16()
    turns.inv_freq = kept
    if not is_fast(pipeline):
        pytest.skip("oneDNN does not multiply in bfloat16 here")
    answers = [asked(opened(pipeline, on_fast_path, PROMPTS), range(14)).double() for on_fast_path in (True, False)]
    model.double()
    turns.inv_freq = kept
    exact = asked(opened(pipeline, False, PROMPTS), range(14))
    fast_error, plain_error = ((found - exact)[exact.isfinite()].square().mean().sqrt() for found in answers)
    assert 0 < fast_error < plain_error, (fast_error, plain_error)


@torch.inference_mode()
def test_residuals_in_bfloat16_are_float32(pipeline, monkeypatch):
    pipeline.model.model.bfloat16()
    if not is_fast(pipeline):
        pytest.skip("oneDNN does not multiply in bfloat16 here")
    session, seen, layer = opened(pipeline, True), [], Block.__call__
    monkeypatch.setattr(Block, "__call__", lambda self, x, *rest: seen.append(x.dtype) or layer(self, x, *rest))
    asked(session, range(8))
    assert set(seen) == {torch.float32}


def test_llama_layouts_run_on_the_fast_path(any_pipeline):
    model = any_pipeline.model
    network = running(any_pipeline)
    assert isinstance(network.body, Llama)
    assert isinstance(network.head, JanusHead) == (type(model).__name__ == "Janus")
    grid = model.grid(None) if type(model).__name__ == "Janus" else model.grid((16, 16))
    answers = []
    with torch.no_grad():
        for on_fast_path in (True, False):
            prompt = model.random_prompt(5, torch.Generator().manual_seed(0))
            session = model.open([prompt], grid, 2.0, [None])
            session.network = session.network if on_fast_path else session.network.body.plain
            answers.append(torch.cat([asked(session, range(2)), asked(session, range(2, min(grid.size - 1, 30)))], 1))
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-5 * float(answers[1][answers[1].isfinite()].abs().max()))


@torch.no_grad()
def test_ragged_batches_trees_select_and_join_have_the_logits_of_the_plain_network(pipeline):
    """In the same sessions, so that every step reads the cache of the one before."""
    tree = torch.ones(3, 3, N + 3, dtype=torch.bool).tril(3)
    answers = []
    for on_fast_path in (True, False):
        session = opened(pipeline, on_fast_path, PROMPTS)
        steps = [asked(session, range(4)), asked(session, range(2, 7))]  # the first of them once more
        slots = torch.tensor([7, N, N + 1]).expand(3, -1)
        steps.append(asked(session, (7, 8, 8), slot=slots, sees=tree | (torch.arange(N + 3) < 4)))
        part = session.select(torch.tensor([2, 0]))
        steps += [asked(part, (7,)), asked(part.join(opened(pipeline, on_fast_path, PROMPTS)), range(2))]
        answers.append(torch.cat([step.flatten() for step in steps]))
    assert_near(*answers)


def test_fast_path_does_not_call_the_model_without_gradients(pipeline, monkeypatch):
    language, session = pipeline.model.network.body.model, opened(pipeline, True)
    calls = []
    forward = type(language).forward
    monkeypatch.setattr(type(language), "forward", lambda *args, **kw: calls.append(1) or forward(*args, **kw))
    with torch.inference_mode():
        asked(session, range(8))
    assert not calls
    with torch.enable_grad():  # gradients are those of the model's own weights
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
def test_trained_weights_are_copied_at_the_next_session(pipeline, part, kind):
    before = answer(pipeline, True)
    for module in pipeline.model.model.model.get_submodule(part).modules():
        if type(module) is kind:
            module.weight.data.mul_(1.5)  # no version counter sees it
    after = answer(pipeline, True)
    assert not torch.allclose(after, before, atol=1e-3)
    assert_near(after, answer(pipeline, False))


def test_unchanged_weights_are_not_copied_again(pipeline):
    answer(pipeline, True)
    first = running(pipeline).body
    answer(pipeline, True)
    assert running(pipeline).body is first


def test_weights_do_not_change_within_a_session(pipeline):
    with torch.no_grad():
        session = opened(pipeline, True)
        before = asked(session, range(8))
        pipeline.model.network.body.model.layers[0].mlp.up_proj.weight.mul_(1.5)
        assert torch.equal(asked(session, range(8)), before)


def test_replaced_modules_are_copied_at_the_next_session(pipeline):
    answer(pipeline, True)
    mlp = pipeline.model.network.body.model.layers[0].mlp
    mlp.up_proj = nn.Linear(mlp.up_proj.in_features, mlp.up_proj.out_features, bias=True)
    assert_near(answer(pipeline, True), answer(pipeline, False))


def test_fast_leaves_other_bodies_alone(pipeline):
    plain = pipeline.model.network.body.plain
    other = replace(plain, body=lambda *inputs: plain.body(*inputs))
    assert fast(other) is other
    assert isinstance(fast(plain).body, FastPath)


def test_networks_with_other_positions_share_the_copies(pipeline):
    network = pipeline.model.network
    moved = replace(network, positions=lambda position, offset: position)
    assert moved.body is network.body


def test_model_weights_stay_as_they_are(pipeline):
    model = pipeline.model.model
    before = {name: (id(p), p.stride(), p.clone()) for name, p in model.named_parameters()}
    answer(pipeline, True)
    for name, p in model.named_parameters():
        number, stride, values = before[name]
        assert (id(p), p.stride()) == (number, stride)
        assert torch.equal(p, values)


def foreign_layer(model):
    class Other(nn.Linear):
        pass

    model.layers[-1].mlp.up_proj.__class__ = Other


CHANGES = {
    "double": lambda model: model.double(),
    "half": lambda model: model.half(),
    "mixed": lambda model: model.layers[-1].mlp.up_proj.bfloat16(),
    "layers": foreign_layer,
    "hook": lambda model: model.layers[0].mlp.register_forward_hook(lambda *given: None),
    "hook before": lambda model: model.norm.register_forward_pre_hook(lambda *given: None),
    "replaced": lambda model: setattr(model.layers[0].mlp, "forward", model.layers[0].mlp.forward),
    "training": lambda model: model.train(),
    "attention": lambda model: model.set_attn_implementation("eager"),
    "activation": lambda model: setattr(model.config, "hidden_act", "gelu"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_models_run_on_the_plain_network(pipeline, change):
    assert is_fast(pipeline)
    CHANGES[change](pipeline.model.network.body.model)
    assert not is_fast(pipeline)


def test_large_models_run_on_the_plain_network(pipeline, monkeypatch):
    network = pipeline.model.network.body.plain
    linear = [m for root in (network.body.model, network.head) for m in root.modules() if type(m) is nn.Linear]
    copies = 2 * sum(layer.weight.nbytes for layer in linear)
    monkeypatch.setattr(capability, "MOST_COPIED", copies)
    assert is_fast(pipeline)
    monkeypatch.setattr(capability, "MOST_COPIED", copies - 1)
    assert not is_fast(pipeline)


@pytest.fixture
def probed():
    """The test of torch's operators, run anew before and after."""
    capability.operators_work.cache_clear()
    yield
    capability.operators_work.cache_clear()


@pytest.mark.usefixtures("probed")
def test_without_onednn_the_plain_network_runs(pipeline, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not is_fast(pipeline)


@pytest.mark.usefixtures("probed")
def test_without_bfloat16_products_the_plain_network_runs_in_bfloat16(pipeline, monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert is_fast(pipeline)
    pipeline.model.model.bfloat16()
    assert not is_fast(pipeline)


def missing(*given):
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(
    ("product", "reason"),
    [
        (missing, "no attribute '_linear_pointwise'"),
        (lambda x, weight, bias: x.new_zeros(len(x), len(bias)), "oneDNN's product is wrong by 1"),
        (lambda x, weight, bias: torch.full((len(x), len(bias)), torch.nan), "oneDNN's product is wrong by nan"),
    ],
    ids=["missing", "wrong", "nan"],
)
def test_failing_operators_leave_the_plain_network_and_one_log_line(pipeline, monkeypatch, caplog, product, reason):
    monkeypatch.setattr(capability, "product", product)
    assert not is_fast(pipeline)
    assert torch.equal(answer(pipeline, True), answer(pipeline, False))
    (line,) = caplog.messages
    assert line.startswith(f"no CPU fast path with torch {torch.__version__}: ")
    assert reason in line


def test_large_codebooks_have_no_table_of_embeddings(pipeline, monkeypatch):
    plain = pipeline.model.network.body.plain
    monkeypatch.setattr(fast_path, "TABLED", CODES - 1)
    assert running(pipeline).embed == plain.embed
    monkeypatch.setattr(fast_path, "TABLED", CODES)
    table = running(pipeline).embed
    assert table != plain.embed
    tokens = torch.arange(CODES)[None]
    torch.testing.assert_close(table(tokens), plain.embed(tokens))
