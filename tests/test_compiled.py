"""Compiled passes: the same images, one graph, no second compilation."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fewpass
from fewpass import Grid, Sampling, decoder
from fewpass.core.loop import decode
from fewpass.core.protocol import Query
from fewpass.runtime.compiled import CompiledBody, compiled
from fewpass.runtime.session import Network, PromptSession
from fewpass.testing.toy import joining

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch imports old parts of its own

GRID, WIDTH = Grid(4, 4, 16), 16
LENGTHS = (5, 2, 9, 3, 70)  # of five prompts, one of them longer than a bucket of slots
DECODERS = ("ar", "jacobi(window=3)", "mc_sjd(window=5)", "jacobi_ngram", "sjd_pac(window=4)", "zipar(window=2)")


def small(dtype: torch.dtype = torch.float64) -> Network:
    """One layer of attention, compiled in seconds."""
    torch.manual_seed(0)
    embed, parts = nn.Embedding(GRID.vocab, WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
    head = nn.Linear(WIDTH, GRID.vocab)
    for module in (embed, parts, head):
        module.to(dtype).requires_grad_(False)
    head.weight.mul_(8)
    turn = torch.linspace(0.1, 2, WIDTH, dtype=dtype)

    def body(inputs, position, mask, cache):
        x = inputs + (position[..., None] * turn).sin()
        q, k, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in parts(x).chunk(3, -1))
        k, v = cache.update(k, v, 0)
        return x + F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(-2)

    return Network(embed, body, head, layers=1)


def opened(network: Network, *lengths: int, guided: bool = False) -> PromptSession:
    torch.manual_seed(1)
    rows = [[torch.randn(n, WIDTH, dtype=torch.float64) for n in (length, 4)[: 1 + guided]] for length in lengths]
    weights = torch.full((len(lengths), int(guided)), 2.0)
    with torch.inference_mode():
        return PromptSession.open(network, GRID, rows, weights)


def drawn(session: PromptSession, spelling: str) -> torch.Tensor:
    seeds = torch.arange(len(session.weights))
    *_, canvas = decode(session, decoder(spelling), Sampling(), seeds)
    return canvas.tokens[:, : GRID.size]


@pytest.fixture
def once():
    """Any second compilation of the same code is an error."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield torch._dynamo.utils.counters


@pytest.fixture(scope="module")
def network() -> Network:
    """Compiled for good; its graphs are kept from test to test."""
    return compiled(small())


@pytest.mark.compiles
@pytest.mark.parametrize("guided", [True, pytest.param(False, marks=pytest.mark.full)])
def test_compiled_passes_draw_the_same_images(network, guided):
    with torch._dynamo.config.patch(error_on_recompile=True):
        for spelling in DECODERS[:2]:
            for length in LENGTHS:
                plain = drawn(opened(small(), length, guided=guided), spelling)
                assert torch.equal(drawn(opened(network, length, guided=guided), spelling), plain)
    assert not network.body._failed
    with torch.inference_mode():
        query = Query(torch.arange(7)[None] % GRID.vocab, torch.arange(7)[None])
        here, there = (opened(own, 6, guided=guided)(query) for own in (network, small()))
    assert torch.allclose(here, there, rtol=0, atol=1e-12)


def test_one_graph_without_breaks_for_all_prompts_and_decoders(once):
    network = compiled(small(), backend="eager")
    for spelling in DECODERS[1:]:
        for lengths in ((5,), (70,), (3, 8, 4)):
            plain = drawn(opened(small(), *lengths, guided=True), spelling)
            assert torch.equal(drawn(opened(network, *lengths, guided=True), spelling), plain)
    assert once["stats"]["unique_graphs"] == 1
    assert not once["graph_break"]


@pytest.mark.parametrize("spelling", ["ar", "jacobi(window=4)"])
def test_fixed_noise_is_autoregression(once, spelling):
    network = compiled(small(), backend="eager")
    assert torch.equal(drawn(opened(network, 5, 2, 9), spelling), drawn(opened(small(), 5, 2, 9), "ar"))


def test_images_come_and_go(once):
    network = compiled(small(), backend="eager")
    chosen, seeds = decoder("jacobi(window=3)"), torch.arange(5).split([2, 2, 1])

    def tokens(network):
        sessions = [opened(network, *lengths) for lengths in (LENGTHS[:2], LENGTHS[2:4], LENGTHS[4:])]
        return joining(sessions, chosen, Sampling(), seeds)

    assert torch.equal(tokens(network), tokens(small()))
    assert once["stats"]["unique_graphs"] == 2  # one image of its own, and several


def test_a_language_model_is_one_graph(once, pipeline):
    model = pipeline.model
    prompts = ("one", "two red stars", "stars", "a blue on red background", "two stars on a red background")
    own = model.network
    plain = [pipeline(prompt, decoder="jacobi(window=3)", seed=3).tokens for prompt in prompts]
    try:
        model.network = compiled(own, backend="eager")
        seen = [pipeline(prompt, decoder="jacobi(window=3)", seed=3).tokens for prompt in prompts]
    finally:
        model.network = own
    assert all(map(torch.equal, seen, plain))
    assert once["stats"]["unique_graphs"] == 1
    assert not once["graph_break"]


@pytest.mark.compiles
def test_missing_compiler_falls_back_with_one_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    network = compiled(small())
    with (
        torch._inductor.config.patch({"cpp.cxx": (str(tmp_path / "none"),), "fx_graph_cache": False}),
        torch._functorch.config.patch(enable_autograd_cache=False),
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always")
        tokens = [drawn(opened(network, n), "jacobi(window=3)") for n in (5, 2)]
    assert [warning.category for warning in said if "compile" in str(warning.message)] == [RuntimeWarning]
    assert all(torch.equal(t, drawn(opened(small(), n), "ar")) for t, n in zip(tokens, (5, 2), strict=True))


def test_untraceable_body_falls_back_with_one_warning():
    own = small()
    peeking = Network(own.embed, lambda x, *rest: own.body(x * (1 if float(x.sum()) else 2), *rest), own.head, 1)
    network = compiled(peeking, backend="eager")
    with pytest.warns(RuntimeWarning, match="torch.compile failed, passes run uncompiled: ") as said:
        tokens = drawn(opened(network, 5), "ar")
    assert len(said) == 1
    assert torch.equal(tokens, drawn(opened(own, 5), "ar"))


def test_load_and_wrap_compile_on_request(folder):
    assert isinstance(fewpass.load(folder, "cpu", compile=True).model.network.body, CompiledBody)
    pipe = fewpass.load(folder, "cpu")
    assert not isinstance(pipe.model.network.body, CompiledBody)
    assert isinstance(fewpass.wrap(pipe.model.model, compile=True).model.network.body, CompiledBody)
