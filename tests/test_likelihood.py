"""The loss the bundled model is trained with must be least at the law of the data, whatever it emphasises."""

import pytest
import torch

likelihood = pytest.importorskip("training.likelihood")  # the wheel does not carry it
EMPHASIS, emphasised = likelihood.EMPHASIS, likelihood.emphasised
BLANK, V = 2, 7


def plain(logits, tokens, blank):
    """The defect this loss was made to avoid: the tokens of things weighed outright."""
    x = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    return -torch.where(tokens == blank, x, EMPHASIS * x)


def pull(loss) -> float:
    """How hard the loss, averaged over all tokens by a law, pulls a model that already has this law away from it."""
    logits = torch.randn(V, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    law = logits.detach().softmax(0)
    tokens = torch.arange(V)[None]
    nats = loss(logits.expand(1, V, V), tokens, torch.full_like(tokens, BLANK))
    (gradient,) = torch.autograd.grad((law * nats[0]).sum(), logits)
    return gradient.abs().max().item()


def test_the_law_of_the_data_fits_best():
    assert pull(emphasised) < 1e-12
    assert pull(plain) > 0.1, "a plain weight must be seen to pull"


def test_what_a_thing_is_counts_so_many_times():
    logits = torch.randn(1, 1, V, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    p = logits.softmax(-1)[0, 0]
    blank = torch.tensor([[BLANK]])
    assert emphasised(logits, blank, blank).item() == pytest.approx(-p[BLANK].log().item())
    there = 1 - p[BLANK]
    split = -there.log() - EMPHASIS * (p[0] / there).log()
    assert emphasised(logits, torch.tensor([[0]]), blank).item() == pytest.approx(split.item())
