import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fewpass.core.noise
from fewpass.core.noise import GOLDEN, _scores, gumbel_max
from tests.properties import REPEATABLE

WIDE = 500
LAWS = {
    "all run": lambda p: p,
    "few run": lambda p: torch.where(p > 0.97, p, 0.0),
    "half of them run": lambda p: torch.where(p > 0.5, p, 0.0),
    "one runs": lambda p: torch.where(p == p.amax(-1, keepdim=True), p, 0.0),
    "only the first and the last run": lambda p: torch.where(torch.arange(WIDE) % (WIDE - 1) == 0, p, 0.0),
    "nobody runs in some rows": lambda p: torch.where((p > 0.97) & (p[..., :1] > 0.5), p, 0.0),
    "all run in some rows": lambda p: torch.where((p > 0.97) | (p[..., :1] > 0.95), p, 0.0),
    "rows that share memory": lambda p: torch.where(p > 0.97, p, 0.0)[:, :1].expand_as(p),
    "codes apart in memory": lambda p: torch.where(p > 0.97, p, 0.0)[:1].mT.contiguous().mT,
    "next to nothing": lambda p: torch.where(p > 0.97, p, 0.0) * 1e-30,
}


def field(make, dtype):
    """Proposals, and the keys of their noise."""
    torch.manual_seed(0)
    p = make(torch.rand(2, 90, WIDE, dtype=dtype))
    return p, torch.randint(-(2**63), 2**63 - 1, p.shape[:2])


@pytest.mark.parametrize("make", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gumbel_max_is_the_largest_score_of_all_codes(make, dtype):
    p, key = field(make, dtype)
    expected = _scores(p, key[..., None] + torch.arange(WIDE) * GOLDEN).argmax(-1)
    assert p.sum() == 0 or expected.unique().numel() > 1
    assert torch.equal(gumbel_max(p, key), expected)


def test_gumbel_max_takes_the_first_of_equal_scores(monkeypatch):
    monkeypatch.setattr(fewpass.core.noise, "_scores", lambda p, x: torch.ones_like(p))
    p, key = field(LAWS["few run"], torch.float32)
    assert torch.equal(gumbel_max(p, key), (p > 0).int().argmax(-1))


def test_gumbel_max_of_no_rows_is_empty():
    p, key = field(LAWS["all run"], torch.float32)
    assert gumbel_max(p[:, :0], key[:, :0]).shape == (2, 0)


def test_gumbel_max_scores_possible_codes_only(monkeypatch):
    scored = []
    monkeypatch.setattr(fewpass.core.noise, "_scores", lambda p, x: scored.append(p.numel()) or p)
    p, key = field(LAWS["few run"], torch.float32)
    gumbel_max(p, key)
    assert sum(scored) == (p > 0).sum()


# Against the formula, with whole numbers of Python.

MASK = 2**64 - 1


def exponential(key, token):
    """The noise of one token: splitmix64 of the key and the token, its upper 40 bits as a number in (0, 1)."""
    x = (key + token * 0x9E3779B97F4A7C15) & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    x ^= x >> 31
    return -math.log1p(-min(((x >> 24) + 0.5) * 2.0**-40, 1 - 2.0**-24))


@st.composite
def laws_and_keys(draw):
    """Up to five laws, full or with few possible tokens, and their keys."""
    rows, width = draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 5, 40]))
    few = width if draw(st.booleans()) else min(width, 4)
    possible = st.dictionaries(st.integers(0, width - 1), st.integers(1, 100), min_size=1, max_size=few)
    p = torch.zeros(rows, width, dtype=torch.float64)
    for law in p:
        for token, mass in draw(possible).items():
            law[token] = mass
    keys = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=rows, max_size=rows))
    return (p / p.sum(-1, keepdim=True))[None], torch.tensor(keys)[None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(REPEATABLE, max_examples=80)
@given(case=laws_and_keys())
def test_gumbel_max_is_the_argmax_of_p_over_e(dtype, case):
    p, key = case
    winners = gumbel_max(p.to(dtype), key)
    for law, k, winner in zip(p[0].tolist(), key[0].tolist(), winners[0].tolist(), strict=True):
        speeds = [mass / exponential(k, token) for token, mass in enumerate(law)]
        assert law[winner] > 0
        assert speeds[winner] >= max(speeds) * (1 - 1e-5)  # noise is float32: nearer than this either may win


@settings(REPEATABLE, max_examples=80)
@given(case=laws_and_keys(), data=st.data())
def test_gumbel_max_of_a_row_does_not_depend_on_other_rows(case, data):
    p, key = case
    together = gumbel_max(p, key)
    rows = torch.tensor(data.draw(st.permutations(range(key.shape[1])))[: data.draw(st.integers(1, key.shape[1]))])
    assert torch.equal(gumbel_max(p[:, rows], key[:, rows]), together[:, rows])
