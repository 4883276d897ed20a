"""The loss the bundled model is trained with must be least at the law of the data, whatever it emphasises."""

import pytest
import torch

likelihood = pytest.importorskip("training.likelihood")  # the wheel does not carry it
EMPHASIS, emphasised = likelihood.EMPHASIS, likelihood.emphasised
BLANK, V = 2, 7


def plain(logits, ways, p):
    """The defect this loss was made to avoid: the tokens of things weighed outright."""
    nats = -logits.log_softmax(-1).gather(-1, ways) * p
    return nats[..., 0] + EMPHASIS * nats[..., 1:].sum(-1)


def seen(x):
    """What is known of a place once it is drawn."""
    there = (x != BLANK).double()
    return torch.stack([torch.full_like(x, BLANK), x, x], -1), torch.stack([1 - there, there, 0 * there], -1)


def foreseen(law):
    """What may be known of a place beforehand: the law itself."""
    return torch.arange(V).roll(-BLANK)[None, None], law.roll(-BLANK)[None, None]


def pull(loss, foresight: bool) -> float:
    """How hard the loss, averaged over all tokens by a law, pulls a model that already has this law away from it."""
    logits = torch.randn(V, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    law = logits.detach().softmax(0)
    if foresight:
        nats = loss(logits[None, None], *foreseen(law))[0]
    else:
        nats = law * loss(logits.expand(1, V, V), *seen(torch.arange(V)[None]))[0]
    (gradient,) = torch.autograd.grad(nats.sum(), logits)
    return gradient.abs().max().item()


@pytest.mark.parametrize("foresight", [False, True])
def test_the_law_of_the_data_fits_best(foresight):
    assert pull(emphasised, foresight) < 1e-12
    assert pull(plain, foresight) > 0.1, "a plain weight must be seen to pull"


def test_what_a_thing_is_counts_so_many_times():
    logits = torch.randn(1, 1, V, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    p = logits.softmax(-1)[0, 0]
    assert emphasised(logits, *seen(torch.tensor([[BLANK]]))).item() == pytest.approx(-p[BLANK].log().item())
    there = 1 - p[BLANK]
    split = -there.log() - EMPHASIS * (p[0] / there).log()
    assert emphasised(logits, *seen(torch.tensor([[0]]))).item() == pytest.approx(split.item())


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_excess_is_the_divergence_from_the_true_law(shift):
    logits = torch.randn(V, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    law = logits.softmax(0)
    true = law.roll(shift)
    whether, which = (part.item() for part in likelihood.excess(logits[None, None], *foreseen(true)))
    assert whether + which == pytest.approx((true * (true / law).log()).sum().item(), abs=1e-12)
    assert min(whether, which) > -1e-12


def test_the_expected_loss_is_that_of_the_law():
    logits = torch.randn(1, V, V, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    law = torch.rand(V, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    law /= law.sum()
    expected = (law * emphasised(logits[:, :1].expand(1, V, V), *seen(torch.arange(V)[None]))[0]).sum()
    assert emphasised(logits[:, :1], *foreseen(law)).item() == pytest.approx(expected.item())
