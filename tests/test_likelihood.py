"""The training loss of `emoji` must have its minimum at the distribution of the data, with every emphasis."""

import pytest
import torch

likelihood = pytest.importorskip("training.likelihood")  # the wheel does not carry it
EMPHASIS, emphasised = likelihood.EMPHASIS, likelihood.emphasised
BLANK, V = 2, 7


def plain(logits, candidates, p):
    """The defect that this loss avoids: a weight for all tokens of things."""
    nats = -logits.log_softmax(-1).gather(-1, candidates) * p
    return nats[..., 0] + EMPHASIS * nats[..., 1:].sum(-1)


def observed(x):
    """Candidates and probabilities, given the token at a position."""
    there = (x != BLANK).double()
    return torch.stack([torch.full_like(x, BLANK), x, x], -1), torch.stack([1 - there, there, 0 * there], -1)


def exact(distribution):
    """Candidates and probabilities, given the distribution of the token."""
    return torch.arange(V).roll(-BLANK)[None, None], distribution.roll(-BLANK)[None, None]


def gradient_at_the_true_distribution(loss, counted: bool) -> float:
    """The largest gradient of the expected loss for a model that equals the distribution of the data."""
    logits = torch.randn(V, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    p = logits.detach().softmax(0)
    if counted:
        nats = loss(logits[None, None], *exact(p))[0]
    else:
        nats = p * loss(logits.expand(1, V, V), *observed(torch.arange(V)[None]))[0]
    (gradient,) = torch.autograd.grad(nats.sum(), logits)
    return gradient.abs().max().item()


@pytest.mark.parametrize("counted", [False, True])
def test_loss_is_least_at_the_distribution_of_the_data(counted):
    assert gradient_at_the_true_distribution(emphasised, counted) < 1e-12
    assert gradient_at_the_true_distribution(plain, counted) > 0.1, "the test must detect the defect"


def test_emphasis_is_the_weight_of_which_thing():
    logits = torch.randn(1, 1, V, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    p = logits.softmax(-1)[0, 0]
    assert emphasised(logits, *observed(torch.tensor([[BLANK]]))).item() == pytest.approx(-p[BLANK].log().item())
    there = 1 - p[BLANK]
    split = -there.log() - EMPHASIS * (p[0] / there).log()
    assert emphasised(logits, *observed(torch.tensor([[0]]))).item() == pytest.approx(split.item())


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_excess_is_the_divergence_from_the_true_distribution(shift):
    logits = torch.randn(V, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    p = logits.softmax(0)
    true = p.roll(shift)
    whether, which = (part.item() for part in likelihood.excess(logits[None, None], *exact(true)))
    assert whether + which == pytest.approx((true * (true / p).log()).sum().item(), abs=1e-12)
    assert min(whether, which) > -1e-12


def test_loss_with_the_distribution_is_the_expected_loss():
    logits = torch.randn(1, V, V, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    p = torch.rand(V, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    p /= p.sum()
    expected = (p * emphasised(logits[:, :1].expand(1, V, V), *observed(torch.arange(V)[None]))[0]).sum()
    assert emphasised(logits[:, :1], *exact(p)).item() == pytest.approx(expected.item())
