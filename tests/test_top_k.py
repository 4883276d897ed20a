import pytest
import torch

from fewpass.core.sampling import _top_k

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
def test_top_k_keeps_the_kth_and_all_above(make, dtype):
    torch.manual_seed(0)
    logits = make(torch.randn(3, 7, WIDE, dtype=dtype) * 2)
    for k in (1, 2, 10, 75, 200, WIDE - 1):
        kth = logits.sort(-1, descending=True).values[..., k - 1, None]  # torch, too, sorts nan in front
        before, expected = logits.clone(), law(logits.masked_fill(logits < kth, -torch.inf))
        assert torch.equal(law(_top_k(logits, k)), expected), k
        assert torch.equal(law(logits), law(before))


def test_top_k_of_no_rows_is_empty():
    assert _top_k(torch.zeros(2, 0, WIDE), 3).shape == (2, 0, WIDE)
