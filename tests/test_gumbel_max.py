import pytest
import torch

import fewpass.core.gumbel
from fewpass.core.gumbel import gumbel_max

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
def test_the_winner_is_that_of_the_race_of_all(make, dtype, monkeypatch):
    p, key = field(make, dtype)
    expected = gumbel_max(p, key)  # a key in torch, as on a GPU: everybody runs
    assert p.sum() == 0 or expected.unique().numel() > 1
    for together in (1, WIDE + 1, 4000, 1 << 16):
        monkeypatch.setattr(fewpass.core.gumbel, "TOGETHER", together)
        assert torch.equal(gumbel_max(p, key.numpy()), expected), together


def test_of_equals_the_first_wins(monkeypatch):
    monkeypatch.setattr(fewpass.core.gumbel, "_speed", lambda p, x: torch.ones_like(p))
    p, key = field(LAWS["few run"], torch.float32)
    assert torch.equal(gumbel_max(p, key.numpy()), (p > 0).int().argmax(-1))


def test_no_rows_at_all():
    p, key = field(LAWS["all run"], torch.float32)
    assert gumbel_max(p[:, :0], key[:, :0].numpy()).shape == (2, 0)


def test_those_that_cannot_win_do_not_run(monkeypatch):
    runners = []
    monkeypatch.setattr(fewpass.core.gumbel, "_speed", lambda p, x: runners.append(p.numel()) or p)
    p, key = field(LAWS["few run"], torch.float32)
    gumbel_max(p, key.numpy())
    assert sum(runners) == (p > 0).sum()
