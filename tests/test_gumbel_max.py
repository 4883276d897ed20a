import pytest
import torch

import fewpass.core.noise
from fewpass.core.noise import _scores, gumbel_max
from fewpass.core.splitmix import GOLDEN

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
