from itertools import islice

import numpy
import pytest
import torch

from fewpass.engine.seeds import assign, endless

LIMIT = 2**63


def test_number_counts_up():
    assert list(assign(7, 3)) == [7, 8, 9]


def test_list_gives_one_each():
    assert assign([3, 3, 0], 3) == [3, 3, 0]
    assert assign(range(2), 2) == [0, 1]


def test_none_draws_seeds_anew():
    assert assign(None, 50)[0] != assign(None, 50)[0]


@pytest.mark.parametrize("least", [True, False], ids=["least", "greatest"])
def test_drawn_seeds_differ_and_survive_javascript_and_spreadsheets(monkeypatch, least):
    monkeypatch.setattr("secrets.randbelow", lambda below: 0 if least else below - 1)
    for seeds in (assign(None, 1000), list(islice(endless(None), 1000))):
        assert len(set(seeds)) == 1000
        assert all(0 <= seed < 2**48 and len(str(seed)) <= 15 and int(float(seed)) == seed for seed in seeds)


def test_seeds_of_any_number_of_images_take_no_memory():
    assert assign(3, 10**12)[-1] == 10**12 + 2


def test_whole_numbers_of_other_types_are_numbers():
    assert list(assign(numpy.int64(5), 2)) == list(assign(torch.tensor(5), 2)) == [5, 6]
    assert assign([numpy.int32(5), torch.tensor(7)], 2) == [5, 7]
    assert [next(endless(torch.tensor(5))), *islice(endless(torch.tensor([7, 9])), 2)] == [5, 7, 9]


def test_limits_are_seeds():
    assert assign([0, LIMIT - 1], 2) == [0, LIMIT - 1]


@pytest.mark.parametrize("seed", [-1, LIMIT, [0, LIMIT], [-5, 1]])
def test_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=r"a seed must lie in 0 <= seed < 2\*\*63, got "):
        assign(seed, 2)


def test_count_past_the_limit_is_named():
    with pytest.raises(ValueError, match=str(LIMIT)):
        assign(LIMIT - 1, 2)


@pytest.mark.parametrize("seed", [1.5, "3", ["x", "y"], [None, 1], True, numpy.True_, torch.tensor([1, 2]), b"12", {}])
def test_seed_must_be_a_whole_number(seed):
    with pytest.raises(ValueError, match="a seed must be a whole number, got"):
        assign(seed, 2)


def test_numbers_must_match():
    with pytest.raises(ValueError, match="3 seeds for 2 images"):
        assign([1, 2, 3], 2)
