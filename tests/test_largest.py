import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fewpass
import fewpass.core.topk
from fewpass.core.topk import BLOCK, largest
from tests.properties import REPEATABLE

WIDE = 600
LOGITS = {
    "no two alike": lambda x: x,
    "full of ties": lambda x: x.round(),
    "all alike": torch.zeros_like,
    "in order": lambda x: x.sort(-1).values,
    "the largest side by side": lambda x: torch.cat([x[..., :500], x[..., 500:] + 50], -1),
    "one code allowed": lambda x: torch.where(torch.arange(WIDE) == 77, x, -torch.inf),
    "some rows forbid nearly all": lambda x: torch.where((torch.arange(WIDE) < 5) | (x[..., :1] > 0), x, -torch.inf),
    "nothing allowed": lambda x: torch.full_like(x, -torch.inf),
    "not a number in places": lambda x: torch.where(x.abs() > 5, torch.nan, x),
    "rows that share memory": lambda x: x[:, :1].expand_as(x),
    "codes apart in memory": lambda x: x[:1].mT.contiguous().mT,
}


def law(logits):
    """-1 throughout where it is none."""
    return logits.softmax(-1).nan_to_num(-1)


@pytest.mark.parametrize("make", LOGITS.values(), ids=LOGITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kth_and_all_above_are_left_as_they_are(make, dtype):
    torch.manual_seed(0)
    logits = make(torch.randn(3, 7, WIDE, dtype=dtype) * 2)
    for k in (1, 2, 10, WIDE // BLOCK - 1, WIDE // BLOCK, WIDE // BLOCK + 1, 200, WIDE - 1):
        kth = logits.sort(-1, descending=True).values[..., k - 1, None]  # torch, too, sorts nan in front
        before, expected = logits.clone(), law(logits.masked_fill(logits < kth, -torch.inf))
        assert torch.equal(law(largest(logits, k)), expected), k
        assert torch.equal(law(logits), law(before))


def test_no_rows_at_all():
    assert largest(torch.zeros(2, 0, WIDE), 3).shape == (2, 0, WIDE)


def test_only_a_few_are_looked_at_closely(monkeypatch):
    seen = []
    kth = fewpass.core.topk._kth
    monkeypatch.setattr(fewpass.core.topk, "_kth", lambda x, k: seen.append(x.shape[1]) or kth(x, k))
    for forbidden in (0, 1):
        logits = torch.randn(3, 7, 16384)
        logits[0, :forbidden, 1:] = -torch.inf
        largest(logits, 1000)
        assert max(seen) == 2048
    assert len(seen) == 4


@st.composite
def rows_and_k(draw):
    """Rows of numbers in steps of a half, so full of ties, with -inf and nan among them, and how many to keep."""
    width, kinds = draw(st.sampled_from([2, 3, 9, 20, 60])), [st.integers(-8, 8).map(lambda x: x / 2)]
    kinds += [st.just(-math.inf)] * draw(st.integers(0, 4)) + [st.just(math.nan)] * draw(st.integers(0, 1))
    row = st.lists(st.one_of(kinds), min_size=width, max_size=width)
    return draw(st.lists(row, min_size=1, max_size=3)), draw(st.integers(1, min(width - 1, 12)))


def kept(row, k):
    """What a sort says: the k largest, where nan is larger than any number, and what ties with the k-th."""
    kth = sorted(row, key=lambda x: (math.isnan(x), x))[-k]
    return [-math.inf if x < kth else x for x in row]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@settings(REPEATABLE, max_examples=200)
@given(case=rows_and_k())
@example(case=([[0.0] * 60], 7))
@example(case=([[1.0, *[-math.inf] * 59]], 7))
@example(case=([[*[math.nan] * 3, *range(57)]], 2))
def test_top_k_is_that_of_a_sort(dtype, case):
    rows, k = case
    found = largest(torch.tensor(rows, dtype=dtype)[None], k)[0].tolist()
    for row, mine in zip(rows, found, strict=True):
        if any(map(math.isnan, row)):  # no law is made of this row, and that must not be hidden
            assert [math.isnan(x) for x in mine] == [math.isnan(x) for x in row]
        else:
            assert mine == kept(row, k)
