"""Relaxed tests on the drafts of SJD: what they keep, and where they are SJD's own test again."""

import math

import pytest
import torch

import fewpass.core.codebook
from fewpass import Drawing, Grid, Sampling, decoder, sjd
from fewpass.core.codebook import Codebook
from fewpass.core.loop import decode
from fewpass.core.protocol import SessionInfo
from fewpass.decoders.relaxed import Annealed, Grouped, Neighbours
from fewpass.decoders.rules import Strict, mass
from fewpass.testing import JointLaw, Toy, check_decoder, coming_and_going, drawn
from tests.toys import FREE, GREEDY, PLAIN, ROW_ENDS, WIDE, WIDE_ROW_ENDS, one_by_one

LAYOUTS = pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
SJD_AGAIN = [
    "gsd(group=0)",
    "gsd(group=1, distance=inf)",
    "gsd(gap=0)",
    "gsd(distance=0)",
    "lantern(delta=0)",
    "lantern_pp(factor=1)",
    "cool_sd(delta=1, nu=0)",
    "cool_sd(delta=0.5)",
]
RELAXED = [
    "gsd(distance=inf)",
    "gsd(group=6, gap=0.5, distance=2.5)",
    "lantern(delta=0.3)",
    "lantern(neighbours=2, delta=0.3)",
    "lantern_pp(factor=3)",
    "cool_sd(delta=3)",
    "cool_sd(delta=3, nu=0)",
]

INFO = SessionInfo(Grid(2, 2, 12), Toy(0, Grid(2, 2, 12)).codebook)


def toy(grid, spelling, law=PLAIN, draw=drawn, images=32):
    return draw(Toy(images, grid, guidance=1.5), decoder(spelling), law, torch.arange(images))


def passes(spelling, images=64):
    return sum(1 for _ in decode(Toy(images, WIDE), decoder(spelling), PLAIN, torch.arange(images)))


def some_laws(codes=12, images=5, window=7, top_k=8):
    p, q = (
        torch.randn(images, window, codes, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) * 2
        for s in (0, 1)
    )
    least = p.topk(top_k).values.amin(-1, keepdim=True)
    p, q = p.masked_fill(p < least, -math.inf).softmax(-1), q.softmax(-1)
    return torch.multinomial(q.flatten(0, 1), 1, generator=torch.Generator().manual_seed(2)).view(images, window), q, p


def circle(codes=12):
    return Toy(0, Grid(1, 2, codes)).codebook


# Where nothing is relaxed.


@LAYOUTS
@pytest.mark.parametrize("spelling", SJD_AGAIN)
def test_relaxed_test_without_relaxation_is_sjd(grid, spelling):
    assert torch.equal(toy(grid, spelling), toy(grid, "sjd"))


@pytest.mark.parametrize("spelling", RELAXED)
def test_relaxed_test_differs_from_sjd(spelling):
    assert not torch.equal(toy(WIDE, spelling), toy(WIDE, "sjd"))
    assert decoder(spelling).lossless is False


@pytest.mark.parametrize("spelling", RELAXED)
def test_relaxation_fails_the_joint_law_test(spelling):
    figure = check_decoder(decoder(spelling), JointLaw(FREE, PLAIN, sharpness=3.0), images=20_000)
    assert figure.z > 10, figure


@pytest.mark.parametrize("weight", ["delta=0.7, nu=0.0", "delta=1.0, nu=0.5"])
def test_weights_of_at_most_one_are_lossless(weight):
    figure = check_decoder(decoder(f"cool_sd({weight}, floor=0)"), JointLaw(FREE, PLAIN, sharpness=3.0), images=30_000)
    assert figure.exact, figure


@pytest.mark.parametrize(
    "spelling", ["gsd(group=8, gap=1, distance=inf)", "lantern_pp(factor=3)", "cool_sd(delta=3, nu=0)"]
)
def test_relaxation_saves_passes(spelling):
    assert passes(spelling) < passes("sjd")


# What the settings exclude stays excluded.


@LAYOUTS
@pytest.mark.parametrize("spelling", RELAXED)
def test_temperature_0_is_greedy(grid, spelling):
    assert torch.equal(toy(grid, spelling, GREEDY), toy(grid, "ar", GREEDY))


@pytest.mark.parametrize("spelling", RELAXED)
@pytest.mark.parametrize("grid", [FREE, ROW_ENDS], ids=["free", "row_ends"])
def test_impossible_codes_are_never_drawn(grid, spelling):
    law = Sampling(top_k=2)
    assert check_decoder(decoder(spelling), JointLaw(grid, law, guidance=2.0), images=4_000).impossible == 0


@pytest.mark.parametrize("spelling", RELAXED)
@pytest.mark.parametrize("draw", [coming_and_going, one_by_one])
def test_image_does_not_depend_on_its_batch(spelling, draw):
    assert torch.equal(toy(WIDE_ROW_ENDS, spelling, draw=draw, images=24), toy(WIDE_ROW_ENDS, spelling, images=24))


# The tests themselves, one code at a time.


@pytest.mark.parametrize(("group", "gap", "distance"), [(4, 0.1, math.inf), (6, 1.0, 1.2), (2, 0.05, 0.5)])
def test_group_is_the_codes_next_in_rank(group, gap, distance):
    x, q, p = some_laws()
    test = Grouped(group, gap, distance, circle().embed)
    alpha = test.alpha(x, q, p)

    def apart(v, w):
        return float((circle().vectors[v] - circle().vectors[w]).square().sum())

    for i, j in torch.cartesian_prod(torch.arange(len(x)), torch.arange(x.shape[1])).tolist():
        mine, p_ij, q_ij = int(x[i, j]), p[i, j], q[i, j]
        order = p_ij.argsort().tolist()
        rank = order.index(mine)
        ranked = order[max(0, rank - group // 2) : rank + group // 2 + 1]
        members = [
            v
            for v in ranked
            if v == mine or (p_ij[v] > 0 and abs(p_ij[v] - p_ij[mine]) < gap and apart(v, mine) < distance)
        ]
        expected = p_ij[members].sum() / q_ij[members].sum() if p_ij[mine] > 0 else torch.zeros(())
        torch.testing.assert_close(alpha[i, j], expected, check_dtype=False)


@pytest.mark.parametrize(("k", "delta", "factor"), [(3, 0.2, 1.0), (11, 0.4, 1.0), (2, 0.0, 3.0), (50, 0.0, 1.5)])
def test_neighbours_add_mass_up_to_the_bound(k, delta, factor):
    x, q, p = some_laws()
    test = Neighbours(k, delta, factor).bind(INFO)
    alpha, residual = test.alpha(x, q, p), test.residual(x, q, p)
    for i, j in torch.cartesian_prod(torch.arange(len(x)), torch.arange(x.shape[1])).tolist():
        mine, pooled = int(x[i, j]), p[i, j].clone()
        bound = delta + (factor - 1) * pooled[mine]
        S = 0.0
        for v in test.nearest[mine].tolist():
            S += float(p[i, j, v])
            if bound >= S and p[i, j, mine] > 0:
                pooled[mine] += p[i, j, v]
                pooled[v] = 0
        torch.testing.assert_close(alpha[i, j], pooled[mine] / q[i, j, mine])
        torch.testing.assert_close(residual[i, j], (pooled - q[i, j]).relu())
    assert (alpha >= Strict().alpha(x, q, p)).all()


def test_pooling_moves_no_more_than_delta():
    x, _, p = some_laws()
    pooled = Neighbours(11, delta=0.25).bind(INFO)._pooled(x, p)
    torch.testing.assert_close(pooled.sum(-1), torch.ones(5, 7, dtype=torch.float64))
    assert ((pooled - p).abs().sum(-1) / 2 <= 0.25 + 1e-12).all()
    assert (mass(pooled, x) > mass(p, x)).any()


def test_weights_decay_over_the_window_to_their_floor():
    x, q, p = some_laws()
    ratio = Annealed(2.0, 0.5, 1.0).alpha(x, q, p) / Strict().alpha(x, q, p)
    expected = torch.tensor([max(1.0, 2 * math.exp(-0.5 * i)) for i in range(7)], dtype=torch.float64)
    possible = mass(p, x) > 0
    torch.testing.assert_close(ratio[possible], expected.expand(5, -1)[possible])


# The codebook.


def test_nearest_codes(monkeypatch):
    monkeypatch.setattr(fewpass.core.codebook, "CHUNK", 3)
    vectors = torch.tensor([[0.0], [1.0], [3.0], [7.0], [6.5]])
    book = Codebook(vectors, vectors.__getitem__)
    assert book.nearest(1).tolist() == [[1], [0], [1], [4], [3]]
    assert book.nearest(2).tolist() == [[1, 2], [0, 2], [1, 0], [4, 2], [3, 2]]
    assert book.nearest(1).tolist() == [[1], [0], [1], [4], [3]]
    assert book.nearest(99).shape == (5, 4)


def test_nearest_codes_are_found_once():
    book = Codebook(torch.randn(50, 4), lambda tokens: tokens)
    first = book.nearest(10)
    book.vectors = None
    assert torch.equal(book._nearest[:, :10], first)


class Ignorant:
    """A session that knows no codebook."""

    def __init__(self, session):
        self.session = session
        self.grid, self.first = session.grid, session.first

    def __call__(self, query):
        return self.session(query)


@pytest.mark.parametrize("spelling", ["lantern", "lantern_pp(neighbours=7)", "gsd(distance=0.4)"])
def test_decoder_without_a_codebook_is_refused_before_the_first_pass(spelling):
    session = Ignorant(Toy(2, WIDE))
    with pytest.raises(ValueError, match=spelling.split("(")[0]) as refused:
        Drawing(session, decoder(spelling), PLAIN, torch.arange(2))
    assert "codebook" in str(refused.value)


def test_gsd_without_a_distance_needs_no_codebook():
    chosen, seeds = decoder("gsd(distance=inf)"), torch.arange(9)
    assert torch.equal(drawn(Ignorant(Toy(9, WIDE)), chosen, PLAIN, seeds), drawn(Toy(9, WIDE), chosen, PLAIN, seeds))


def test_bound_decoder_keeps_its_recipe():
    drawing = Drawing(Toy(2, WIDE), decoder("lantern(delta=0.2)"), PLAIN, torch.arange(2))
    assert str(drawing.decoder) == str(decoder("lantern(delta=0.2)"))
    assert drawing.decoder.lossless is False


@pytest.mark.parametrize(
    "wrong",
    [
        "gsd(group=-1)",
        "gsd(gap=-0.1)",
        "gsd(distance=-1.0)",
        "lantern(neighbours=0)",
        "lantern(delta=-0.1)",
        "lantern(delta=1.5)",
        "lantern_pp(factor=0.5)",
        "cool_sd(delta=0)",
        "cool_sd(nu=-1)",
        "cool_sd(floor=-1)",
        "cool_sd(delta=inf)",
        "gsd(window=-1)",
    ],
)
def test_options_out_of_range_are_refused(wrong):
    option = wrong.split("(")[1].split("=")[0]
    with pytest.raises(ValueError, match=option):
        decoder(wrong)


def test_sjd_is_strict():
    assert sjd().rule.test == Strict()
