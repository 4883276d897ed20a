"""Candidates recalled from the laws of all passes so far, beside a chain of drafts."""

from dataclasses import dataclass

import pytest
import torch

from fewpass import Drawing, Grid, ar, decoder, jacobi_recall, mc_sjd, sjd_recall
from fewpass.laws import Laws
from fewpass.recall import Recall
from fewpass.testing import Toy, check_decoder, coming_and_going, drawn
from tests.toys import GREEDY, LAWS, PLAIN, WIDE, WIDE_ROW_ENDS, mean_passes, one_by_one, toy

# The law.


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law_is_exact(law):
    figure = check_decoder(sjd_recall(5, 3, 2), law, images=20_000)
    assert figure.exact, figure


@pytest.mark.parametrize(("window", "depth", "width"), [(1, 4, 3), (3, 1, 4), (5, 5, 1)])
def test_law_is_exact_for_every_shape(window, depth, width):
    figure = check_decoder(sjd_recall(window, depth, width), LAWS["plain"], images=20_000)
    assert figure.exact, figure


def test_law_is_exact_in_ragged_company():
    figure = check_decoder(sjd_recall(5, 3, 2), LAWS["plain"], images=20_000, draw=coming_and_going)
    assert figure.exact, figure


@dataclass(frozen=True)
class Presumptuous(Recall):
    """The first draft of the chain may be among the candidates, and then its branch counts as the chain's rejection."""

    def _candidates(self, canvas, state, W):
        return Laws(state[1]).read(canvas.ahead(min(self.depth, W))).topk(self.width).indices

    def verify(self, canvas, state, p, noise):
        canvas.write(canvas.ahead(1), self._candidates(canvas, state, 1)[:, :, 0])  # the likeliest is the draft
        return super().verify(canvas, state, p, noise)


@dataclass(frozen=True)
class Stale(Recall):
    """Labels what was drawn beside the chain with the chain's laws."""

    def verify(self, canvas, state, p, noise):
        old, before = canvas.tokens.clone(), canvas.length
        new = super().verify(canvas, state, p, noise)
        changed = canvas.ahead(1)
        Laws(new[0]).write(changed, p[:, self.again(state) + 1 : self.again(state) + 2])
        assert old.shape == canvas.tokens.shape
        assert (canvas.length > before).all()
        return new


@pytest.mark.parametrize("wrong", [Presumptuous, Stale])
def test_wrong_candidates_are_caught(wrong):
    figure = check_decoder(wrong(mc_sjd(5), 3, 2), LAWS["plain"], images=40_000)
    assert figure.z > 10, figure


# Identities.


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
@pytest.mark.parametrize("draw", [coming_and_going, one_by_one])
@pytest.mark.parametrize(("window", "depth", "width"), [(1, 2, 2), (6, 3, 3), (30, 8, 20)])
def test_image_does_not_depend_on_its_company(grid, draw, window, depth, width):
    chosen = sjd_recall(window, depth, width)
    assert torch.equal(toy(grid, chosen, draw=draw, images=7), toy(grid, chosen, images=7))


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
def test_temperature_0_is_greedy(grid):
    for options in ((7, 3, 3), (2, 4, 2)):
        assert torch.equal(toy(grid, sjd_recall(*options), GREEDY), toy(grid, ar(), GREEDY))


def test_memory_is_the_sum_of_the_laws_since_a_position_came_into_the_window():
    grid, chosen = Grid(5, 5, 8), sjd_recall(6, 2, 2, guess="uniform")
    drawing = Drawing(Toy(3, grid, 1.5), chosen, PLAIN, torch.arange(3))
    sums = {}
    for _ in range(8):
        index = drawing.canvas.ahead(chosen.chain.drafts(drawing.canvas))
        laws, memory = (Laws(part).read(index) for part in drawing.state[:2])
        for image in range(3):
            for i, position in enumerate(index[image].tolist()):
                key = (image, position)
                sums[key] = sums.get(key, 0) + laws[image, i]
                assert torch.allclose(memory[image, i], sums[key], atol=1e-6), key
        drawing.advance()


def test_the_first_draft_is_no_candidate():
    drawing, seen = Drawing(Toy(20, WIDE), sjd_recall(6, 3, 4), PLAIN, torch.arange(20)), 0
    while not any(drawing.canvas.finished):
        x = drawing.state[3]
        assert not (x[:, 0] == drawing.canvas.read(drawing.canvas.ahead(1))).any()
        assert all(len(set(row)) == len(row) for row in x[:, 0].tolist())
        seen += 1
        drawing.advance()
    assert seen > 3


@pytest.mark.parametrize("options", [(1, 1, 1), (5, 3, 2), (6, 4, 4), (40, 2, 3)])
@pytest.mark.parametrize("draw", [drawn, coming_and_going])
def test_under_fixed_noise_tokens_are_those_of_ar(options, draw):
    for grid in (WIDE, WIDE_ROW_ENDS):
        assert torch.equal(toy(grid, jacobi_recall(*options), draw=draw), toy(grid, ar()))


def test_what_was_won_beside_the_chain_must_be_fed_once_more(monkeypatch):
    monkeypatch.setattr(Recall, "again", lambda self, state: 0)
    assert not torch.equal(toy(WIDE, jacobi_recall(6, 4, 4)), toy(WIDE, ar()))


def test_more_may_be_fed_once_more_than_was_won(monkeypatch):
    monkeypatch.setattr(Recall, "again", lambda self, state: self.depth)
    for draw in (drawn, coming_and_going):
        assert torch.equal(toy(WIDE, jacobi_recall(6, 4, 4), draw=draw), toy(WIDE, ar()))


def test_candidates_save_passes():
    assert mean_passes(sjd_recall(16, 8, 4, "uniform"), 3.0) < mean_passes(mc_sjd(16), 3.0)
    assert mean_passes(sjd_recall(16, 8, 4, "uniform"), 3.0) < mean_passes(sjd_recall(16, 8, 1, "uniform"), 3.0)


@pytest.mark.parametrize(
    ("spelling", "named"),
    [("sjd_recall(depth=0)", "depth"), ("sjd_recall(width=1.5)", "width"), ("sjd_recall(window=0)", "window")],
)
def test_options_out_of_range_are_named(spelling, named):
    with pytest.raises(ValueError, match=named):
        decoder(spelling)
