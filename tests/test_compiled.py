"""Compiled passes: the same images, one graph, no second compilation."""

import gc
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fewpass
from fewpass import Grid, Sampling, decoder
from fewpass.core.loop import decode
from fewpass.core.protocol import Query
from fewpass.runtime.compiled import CompiledNetwork, Graphs, Pool, StaticCache, compiled
from fewpass.runtime.kv_cache import SlotCache
from fewpass.runtime.session import Network, PromptSession
from fewpass.testing import coming_and_going

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
def network() -> CompiledNetwork:
    """Compiled for good; its graphs are kept from test to test."""
    return compiled(small())


@pytest.mark.compiles
@pytest.mark.parametrize("guided", [True, pytest.param(False, marks=pytest.mark.full)])
def test_the_compiler_changes_no_image(network, guided):
    with torch._dynamo.config.patch(error_on_recompile=True):
        for spelling in DECODERS[:2]:
            for length in LENGTHS:
                plain = drawn(opened(small(), length, guided=guided), spelling)
                assert torch.equal(drawn(opened(network, length, guided=guided), spelling), plain)
    assert not network.graphs._given_up
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
    chosen, seeds = decoder("jacobi(window=3)"), torch.arange(5)
    tokens = coming_and_going(opened(network, *LENGTHS), chosen, Sampling(), seeds)
    assert torch.equal(tokens, coming_and_going(opened(small(), *LENGTHS), chosen, Sampling(), seeds))
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


def test_windows_may_be_filled_up(once):
    widths = []

    def watched(tokens, ids, mask, cache):
        widths.append(tokens.shape[1])
        return small().answer(tokens, ids, mask, cache)

    network = compiled(small())
    network.graphs.plain = watched
    network.graphs._graph = lambda *case: watched
    network.graphs.width = 4
    assert torch.equal(drawn(opened(network, 5, 3), "jacobi(window=5)"), drawn(opened(small(), 5, 3), "ar"))
    assert widths
    assert not any(width % 4 for width in widths)


@pytest.mark.compiles
def test_without_a_compiler_passes_go_on_with_one_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    network = compiled(small())
    with (
        torch._inductor.config.patch({"cpp.cxx": (str(tmp_path / "none"),), "fx_graph_cache": False}),
        torch._functorch.config.patch(enable_autograd_cache=False),
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always")
        tokens = [drawn(opened(network, n), "jacobi(window=3)") for n in (5, 2)]
    assert [
        warning.category for warning in said if "fewpass" in str(warning.message) or "compiled" in str(warning.message)
    ] == [RuntimeWarning]
    assert all(torch.equal(t, drawn(opened(small(), n), "ar")) for t, n in zip(tokens, (5, 2), strict=True))


def test_what_cannot_be_one_graph_is_drawn_as_it_is():
    own = small()
    peeking = Network(own.embed, lambda x, *rest: own.body(x * (1 if float(x.sum()) else 2), *rest), own.head, 1)
    network = compiled(peeking, backend="eager")
    with pytest.warns(RuntimeWarning, match="the model cannot be compiled, and draws as it is: ") as said:
        tokens = drawn(opened(network, 5), "ar")
    assert len(said) == 1
    assert torch.equal(tokens, drawn(opened(own, 5), "ar"))


def test_load_compiles_only_where_it_is_asked_to(folder):
    assert isinstance(fewpass.load(folder, "cpu", compile=True).model.network, CompiledNetwork)
    pipe = fewpass.load(folder, "cpu")
    assert not isinstance(pipe.model.network, CompiledNetwork)
    assert isinstance(fewpass.wrap(pipe.model.model, compile=True).model.network, CompiledNetwork)


def filled(pool: Pool, rows: int = 2, slots: int = 20) -> StaticCache:
    cache = StaticCache(pool, 1, rows, slots, torch.device("cpu"))
    cache.place(torch.arange(3).expand(rows, -1))
    cache.update(torch.ones(rows, 2, 3, 4), torch.ones(rows, 2, 3, 4), 0)
    return cache


def test_static_caches_follow_each_other_in_the_same_place():
    pool = Pool()
    first = filled(pool)
    assert first.steady()
    place = first.layers[0].keys.data_ptr()
    other = filled(pool)
    assert other.steady()
    assert other.layers[0].keys.data_ptr() != place
    first.layers[0].keys.fill_(7)
    gc.disable()
    try:
        del first  # at once, not when the garbage collector comes by
        again = filled(pool)
        assert again.steady()
    finally:
        gc.enable()
    assert {again.layers[0].keys.data_ptr(), again.layers[0].values.data_ptr()} & {place}
    assert again.layers[0].keys[:, :, :3].eq(1).all()
    assert again.layers[0].keys[:, :, 3:].eq(0).all()


def test_a_static_cache_that_is_outgrown_or_divided_is_an_ordinary_one():
    cache = filled(Pool())
    assert cache.steady()
    assert cache.written.shape[1] == 128
    cache.reserve(128)
    assert not cache.steady()
    for divided in (lambda c: c.select(torch.tensor([1])), lambda c: c.join(filled(Pool()))):
        cache = filled(Pool())
        assert cache.steady()
        part = divided(cache)
        assert type(part) is SlotCache
        assert part.layers[0].room[0].data_ptr() not in [buffer.data_ptr() for buffer in cache._buffers]


def test_static_caches_draw_the_same(once, monkeypatch):
    network = compiled(small(), backend="eager")
    monkeypatch.setattr(
        CompiledNetwork,
        "cache",
        lambda n, rows, slots, device: StaticCache(n.graphs.pool, n.layers, rows, slots, device),
    )
    for spelling in ("jacobi(window=3)", "sjd_pac(window=4)"):
        for lengths in ((5,), (2,), (4, 9)):
            plain = drawn(opened(small(), *lengths, guided=True), spelling)
            assert torch.equal(drawn(opened(network, *lengths, guided=True), spelling), plain)
    assert (True, True, True) in network.graphs._graphs


@pytest.mark.gpu
def test_cuda_graphs_change_no_image_and_stay_where_they_are(folder):
    plain = fewpass.load(folder, "cuda", "float64")
    fast = fewpass.load(folder, "cuda", "float64", compile=True)
    places = set()
    for prompt in ("one", "two red stars", "a blue on red background", "stars", "two stars"):
        for chosen in ("ar", "jacobi(window=3)"):
            tokens = fast(prompt, decoder=chosen, seed=3, on_step=None).tokens
            assert torch.equal(tokens, plain(prompt, decoder=chosen, seed=3).tokens)
        places |= {t.data_ptr() for free in fast.model.network.graphs.pool._free.values() for t in free}
    assert len(places) == 2 * fast.model.network.layers
    assert not fast.model.network.graphs._given_up


def test_graphs_are_shared_by_what_replace_makes(network):
    from dataclasses import replace

    assert replace(network, positions=lambda position, offset: position).graphs is network.graphs
    assert isinstance(network.graphs, Graphs)
