"""Rules one by one; that their images have the right law is shown in test_law."""

import pytest
import torch

from fewpass.core.noise import Noise
from fewpass.decoders.rules import FixedPoint, Reuse, Speculative, Strict, couple, resample

N = 50_000
INDEX = torch.arange(2).expand(N, -1)
NOISE = Noise(torch.arange(N), torch.zeros(N, dtype=torch.long))
P = torch.tensor([0.5, 0.2, 0.3, 0.0], dtype=torch.float64)
Q = torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64)


def window(q, p):
    """One guess from q for each of N images, and what the model says of it and of the token behind."""
    guess = Noise(torch.arange(N) + N, NOISE.step).draw(q.expand(N, 1, -1), INDEX[:, :1], 0)
    return guess, q.expand(N, 1, -1), p.expand(N, 2, -1), INDEX, NOISE


def frequencies(tokens):
    return torch.bincount(tokens, minlength=4) / N


@pytest.mark.parametrize("rule", [Speculative(), Speculative(redraft=couple), Speculative(frozen=True), FixedPoint()])
def test_verdict_is_distributed_as_p(rule):
    y, _ = rule(*window(Q, P))
    for tokens in y.T:
        assert (frequencies(tokens) - P).abs().max() < 4 * 0.5 / N**0.5


@pytest.mark.parametrize("rule", [Speculative(), Speculative(redraft=couple), Speculative(frozen=True)])
def test_drafts_are_accepted_as_often_as_p_and_q_overlap(rule):
    _, kept = rule(*window(Q, P))
    assert abs(kept.double().mean() - torch.minimum(P, Q).sum()) < 4 * 0.5 / N**0.5


def test_accepted_drafts_do_not_change():
    x, *rest = window(Q, P)
    y, kept = Speculative()(x, *rest)
    assert torch.equal(y[:, :1][kept], x[kept])


def test_draft_certain_under_p_is_always_accepted():
    point = torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    y, kept = Speculative()(*window(point, point))
    assert kept.all()
    assert (y[:, 0] == 2).all()


def test_rejected_draft_is_replaced_with_an_empty_residual():
    x = torch.zeros(1, 1, dtype=torch.long)
    left_over = Strict().residual(x, P.view(1, 1, -1), P.view(1, 1, -1))[0, 0]
    assert (left_over / left_over.sum() - P).abs().max() < 1e-12


def test_fixed_point_accepts_drafts_equal_to_its_draws():
    x, *rest = window(Q, P)
    y, kept = FixedPoint()(x, *rest)
    assert torch.equal(kept, y[:, :1] == x)


KEPT = torch.tensor([[True, False, True, False]])
VERIFIED = torch.tensor([[True, True, False, False]])
ALPHA = torch.tensor([[2.0, 0.1, 0.3, 0.05]])


def test_resample_keeps_only_verified_drafts():
    stays, corrected = resample(KEPT, VERIFIED, ALPHA)
    assert stays.tolist() == [[True, False, False, False]]
    assert corrected.tolist() == [[False, True, False, False]]


def test_couple_treats_all_drafts_alike():
    stays, corrected = couple(KEPT, VERIFIED, ALPHA)
    assert stays.tolist() == KEPT.tolist()
    assert corrected.tolist() == (~KEPT).tolist()


def test_reuse_keeps_likely_drafts_behind_the_rejection():
    stays, corrected = Reuse(0.1)(KEPT, VERIFIED, ALPHA)
    assert stays.tolist() == [[True, False, True, False]]
    assert corrected.tolist() == [[False, True, False, False]]


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_threshold_must_be_a_number_from_0(threshold):
    with pytest.raises(ValueError, match="threshold must be a number >= 0, got"):
        Reuse(threshold)
