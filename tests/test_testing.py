"""The shipped contracts themselves."""

import pytest
import torch

from fewpass import Query, Sampling, ar, sjd
from fewpass.testing import JointLaw, Toy, check_decoder, drawn
from fewpass.testing.toy import CHUNK
from tests.toys import FREE, PLAIN, ROW_ENDS

LAW = Sampling(0.8, 3)


@pytest.mark.parametrize("grid", [FREE, ROW_ENDS], ids=["free", "row_ends"])
def test_joint_law_is_the_product_of_what_the_toy_answers(grid):
    joint = JointLaw(grid, LAW, guidance=2.0)
    assert joint.probability.sum() == pytest.approx(1)
    images = drawn(joint.session(50), ar(), LAW, torch.arange(50))
    toy, p = joint.session(50), torch.ones(50, dtype=torch.float64)
    law = LAW(toy.first)
    for position in range(grid.size):
        p *= law[:, 0].gather(1, images[:, position : position + 1])[:, 0]
        here = torch.full((50, 1), position)
        law = LAW(toy(Query(images[:, position : position + 1], here)))
    place = (images * grid.vocab ** torch.arange(grid.size - 1, -1, -1)).sum(1)
    assert torch.allclose(joint.probability[place], p)


def test_toy_answers_a_window_as_it_answers_single_queries():
    tokens = torch.randint(4, (20, 6), generator=torch.Generator().manual_seed(0))
    window, single = Toy(20, FREE), Toy(20, FREE)
    answers = window(Query(tokens, torch.arange(6).expand(20, -1)))
    for i in range(6):
        assert torch.equal(single(Query(tokens[:, i : i + 1], torch.full((20, 1), i)))[:, 0], answers[:, i])


def test_every_token_before_changes_the_toys_law():
    tokens = torch.zeros(7, 6, dtype=torch.long)
    tokens[torch.arange(6), torch.arange(6)] = 1
    last = Toy(7, FREE)(Query(tokens, torch.arange(6).expand(7, -1)))[:, -1]
    assert len(last.unique(dim=0)) == 7


def test_toy_sees_only_what_it_is_shown():
    toy, other = Toy(1, FREE), Toy(1, FREE)
    index, sees = torch.tensor([[0, 1, 1]]), torch.zeros(1, 3, 14, dtype=torch.bool)
    for query, slots in enumerate([[0], [0, 1], [0, 9]]):
        sees[0, query, slots] = True
    answers = toy(Query(torch.tensor([[1, 2, 3]]), index, torch.tensor([[0, 1, 9]]), sees))
    for token, answer in ((2, answers[:, 1]), (3, answers[:, 2])):
        assert torch.equal(other(Query(torch.tensor([[1, token]]), torch.tensor([[0, 1]])))[:, 1], answer)


def test_laws_of_the_toy_are_unlike():
    p = JointLaw(FREE, PLAIN, sharpness=3.0).session(1)
    prefixes = torch.arange(1000)[:, None] * 7919
    laws = p.logits(prefixes, torch.ones_like(prefixes)).softmax(-1)[:, 0]
    apart = (laws[1:] - laws[:-1]).abs().sum(-1) / 2
    assert apart.mean() > 0.5


def test_images_drawn_in_several_batches_are_those_drawn_at_once():
    joint = JointLaw(FREE, LAW)
    n = CHUNK + 500
    at_once = drawn(joint.session(n), sjd(2), LAW, torch.arange(n) + 9)
    place = (at_once * 4 ** torch.arange(5, -1, -1)).sum(1)
    assert torch.equal(joint.counts(sjd(2), n, seed=9), torch.bincount(place, minlength=4**6).double())


def test_figure_of_a_perfect_decoder_is_near_its_noise():
    figure = check_decoder(ar(), JointLaw(FREE, LAW), images=20_000)
    assert figure.exact
    assert figure.total_variation == pytest.approx(figure.noise, rel=0.1)


def test_figure_of_the_wrong_law_is_not_exact():
    warmer = lambda session, decoder, law, seeds: drawn(session, decoder, Sampling(1.2, 3), seeds)  # noqa: E731
    figure = check_decoder(ar(), JointLaw(FREE, LAW), images=20_000, draw=warmer)
    assert figure.z > 20
    assert not figure.exact
