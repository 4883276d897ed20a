"""Gumbel-max against its formula, with whole numbers of Python."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewpass.core.noise import GUMBEL, Noise
from tests.properties import REPEATABLE

MASK = 2**64 - 1


def exponential(key, token):
    """The noise of one token: splitmix64 of the key and the token, its upper 40 bits as a number in (0, 1)."""
    x = (key + token * 0x9E3779B97F4A7C15) & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    x ^= x >> 31
    return -math.log1p(-min(((x >> 24) + 0.5) * 2.0**-40, 1 - 2.0**-24))


@st.composite
def cases(draw):
    """Up to five distributions, full or with few possible tokens, their positions, and the noise of an image."""
    rows, width = draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 5, 40]))
    few = width if draw(st.booleans()) else min(width, 4)
    possible = st.dictionaries(st.integers(0, width - 1), st.integers(1, 100), min_size=1, max_size=few)
    p = torch.zeros(rows, width, dtype=torch.float64)
    for row in p:
        for token, mass in draw(possible).items():
            row[token] = mass
    index = draw(st.lists(st.integers(0, 5000), min_size=rows, max_size=rows, unique=True))
    noise = Noise(torch.tensor([draw(st.integers(0, 2**63 - 1))]), torch.tensor([draw(st.integers(0, 99))]))
    return (p / p.sum(-1, keepdim=True))[None], torch.tensor(index)[None], noise


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(REPEATABLE, max_examples=80)
@given(case=cases())
def test_gumbel_max_is_the_argmax_of_p_over_e(dtype, case):
    p, index, noise = case
    drawn, keys = noise.gumbel_max(p.to(dtype), index), noise._key(0, index, GUMBEL)
    for row, key, token in zip(p[0].tolist(), keys[0].tolist(), drawn[0].tolist(), strict=True):
        scores = [mass / exponential(key, v) for v, mass in enumerate(row)]
        assert row[token] > 0
        assert scores[token] >= max(scores) * (1 - 1e-5)  # noise is float32: nearer than this either may win


@settings(REPEATABLE, max_examples=80)
@given(case=cases(), data=st.data())
def test_gumbel_max_of_a_row_does_not_depend_on_other_rows(case, data):
    p, index, noise = case
    together, count = noise.gumbel_max(p, index), index.shape[1]
    rows = torch.tensor(data.draw(st.permutations(range(count)))[: data.draw(st.integers(1, count))])
    assert torch.equal(noise.gumbel_max(p[:, rows], index[:, rows]), together[:, rows])


def test_gumbel_max_of_no_rows_is_empty():
    noise = Noise(torch.tensor([1, 2]), torch.tensor([0, 0]))
    assert noise.gumbel_max(torch.ones(2, 0, 9), torch.zeros(2, 0, dtype=torch.long)).shape == (2, 0)
