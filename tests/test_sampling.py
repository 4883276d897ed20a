import pytest
import torch
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from fewpass import Sampling

SETTINGS = [
    (t, k, p, m)
    for t in (0.5, 1.0, 1.7)
    for k in (0, 1, 3, 7, 50)
    for p in (0.05, 0.5, 0.9, 1.0)
    for m in (0.0, 0.1, 1.0)
]


def rough(rows=400, symbols=20):
    """Logits in steps of a half: full of ties."""
    torch.manual_seed(0)
    return (torch.randn(rows, symbols) * 4).round() / 2


def warped(logits, temperature, top_k, top_p, min_p):
    """What `generate` of transformers does."""
    if temperature != 1:
        logits = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k:
        logits = TopKLogitsWarper(top_k)(None, logits)
    if top_p < 1:
        logits = TopPLogitsWarper(top_p)(None, logits)
    if min_p:
        logits = MinPLogitsWarper(min_p)(None, logits)
    return logits.softmax(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_are_those_of_transformers_with_ties(dtype):
    logits = rough().to(dtype)
    for settings in SETTINGS:
        law, expected = Sampling(*settings)(logits[:, None])[:, 0], warped(logits, *settings)
        assert torch.equal(law > 0, expected > 0), settings
        assert torch.equal(law, expected), settings


def test_forbidden_codes_stay_forbidden():
    logits = rough()
    logits[:, ::2] = -torch.inf
    for settings in [*SETTINGS, (0, 0, 1.0, 0.0)]:
        law = Sampling(*settings)(logits)
        assert not law[:, ::2].any(), settings
        assert torch.allclose(law.sum(-1), torch.ones(len(law))), settings


def test_temperature_0_is_the_lowest_likeliest_id():
    logits = rough()
    law = Sampling(temperature=0)(logits)
    first = [row.index(max(row)) for row in logits.tolist()]
    assert law.argmax(-1).tolist() == first
    assert torch.equal(law, torch.eye(logits.shape[1])[first])


def test_codes_that_tie_with_the_kth_stay():
    assert (Sampling(top_k=2)(torch.tensor([3.0, 1.0, 1.0, 0.0])) > 0).tolist() == [True, True, True, False]


def test_min_p_keeps_codes_near_the_likeliest():
    law = Sampling(min_p=0.4)(torch.tensor([0.4, 0.3, 0.2, 0.1]).log())
    assert torch.allclose(law, torch.tensor([0.4, 0.3, 0.2, 0]) / 0.9)


def test_top_p_keeps_the_smallest_set_that_holds_more():
    law = Sampling(top_p=0.7)(torch.tensor([0.5, 0.25, 0.125, 0.125]).log())
    assert torch.allclose(law, torch.tensor([2 / 3, 1 / 3, 0, 0]))


def test_plain_sampling_is_softmax():
    assert torch.equal(Sampling()(rough()), rough().softmax(-1))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_p", 0),
        ("top_p", 1.1),
        ("top_p", -0.5),
        ("top_p", float("nan")),
        ("min_p", -0.5),
        ("min_p", 1.1),
        ("min_p", float("nan")),
    ],
)
def test_value_out_of_range_is_named(setting, value):
    with pytest.raises(ValueError, match=rf"^{setting} must .*got {value}$"):
        Sampling(**{setting: value})
