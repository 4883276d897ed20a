"""SJD as one function draws the tokens of the composed recipe."""

import pytest
import torch

from fewpass import Grid, Sampling, sjd
from fewpass.decoders import unrolled
from fewpass.testing import Toy, drawn
from tests.toys import GREEDY, PLAIN, WIDE, WIDE_ROW_ENDS

NARROW = Sampling(0.7, top_k=5)
ONE = Grid(1, 1, 16)


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS, ONE], ids=["free", "row_ends", "one_token"])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("sampling", [PLAIN, NARROW, GREEDY], ids=["plain", "narrow", "greedy"])
@pytest.mark.parametrize("window", [0, 1, 4, 15, 40])
def test_unrolled_sjd_draws_the_tokens_of_sjd_on_the_toy(grid, guidance, sampling, window):
    for seed in (0, 1, 2**40):
        composed = drawn(Toy(1, grid, 0.8, guidance), sjd(window), sampling, torch.tensor([seed]))
        alone = unrolled.sjd(Toy(1, grid, 0.8, guidance), sampling, seed, window)
        assert torch.equal(alone, composed[0]), seed


def test_unrolled_sjd_has_the_default_window_of_sjd():
    large = Grid(5, 8, 16)
    expected = drawn(Toy(1, large, 0.1), sjd(), PLAIN, torch.tensor([5]))[0]
    assert torch.equal(unrolled.sjd(Toy(1, large, 0.1), PLAIN, 5), expected)
    assert not torch.equal(unrolled.sjd(Toy(1, large, 0.1), PLAIN, 5, 14), expected)


def test_unrolled_sjd_draws_the_tokens_of_sjd_on_the_bundled_models(bundled):
    model, (prompt, *_) = bundled
    guidance, sampling = 3.0, Sampling(top_k=500)
    session = model.model.open([prompt], model.model.grid(None), guidance, [None])
    expected = model(prompt, decoder=sjd(), seed=3, guidance=guidance, temperature=1.0, top_k=500, top_p=1.0)
    assert torch.equal(unrolled.sjd(session, sampling, 3), expected.tokens[0])
