import numpy
import pytest

from fewpass.seeds import assign

LIMIT = 2**63


def test_number_counts_up():
    assert assign(7, 3) == [7, 8, 9]


def test_list_gives_one_each():
    assert assign([3, 3, 0], 3) == [3, 3, 0]
    assert assign(range(2), 2) == [0, 1]


def test_none_draws_seeds_in_range_anew():
    a, b = assign(None, 50), assign(None, 50)
    assert len({*a, *b}) == 100
    assert all(0 <= seed < LIMIT for seed in a)


def test_whole_numbers_of_other_types_are_numbers():
    assert assign(numpy.int64(5), 2) == [5, 6]
    assert assign([numpy.int32(5)], 1) == [5]


def test_limits_are_seeds():
    assert assign([0, LIMIT - 1], 2) == [0, LIMIT - 1]


@pytest.mark.parametrize("seed", [-1, LIMIT, [0, LIMIT], [-5, 1], True])
def test_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=r"a seed must lie in 0 <= seed < 2\*\*63, not "):
        assign(seed, 2)


def test_count_past_the_limit_is_named():
    with pytest.raises(ValueError, match=str(LIMIT)):
        assign(LIMIT - 1, 2)


@pytest.mark.parametrize("seed", [1.5, "3", ["x", "y"], [None, 1]])
def test_seed_must_be_a_whole_number(seed):
    with pytest.raises(ValueError, match="a seed must be a whole number, not"):
        assign(seed, 2)


def test_numbers_must_match():
    with pytest.raises(ValueError, match="3 seeds for 2 images"):
        assign([1, 2, 3], 2)
