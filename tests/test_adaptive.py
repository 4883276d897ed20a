"""A window that follows prices and success, and never shows in the image."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

import fewpass
from fewpass import Drawing, Grid, Sampling, ar, auto, decoder, jacobi
from fewpass.adaptive import Adaptive
from fewpass.prices import Prices
from fewpass.testing import Toy, coming_and_going, drawn
from tests.toys import PLAIN, WIDE, WIDE_ROW_ENDS, one_by_one


class Fixed(Prices):
    """Prices that nothing changes: `of` the tokens of a pass."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def __call__(self, tokens):
        return self.of(np.asarray(tokens, float))


FLAT = Fixed(np.ones_like)
STEEP = Fixed(lambda n: n)
JUMP = Fixed(lambda n: 1 + (n > 50) * 9.0)


def priced(prices, window=128):
    return replace(auto(window), prices=defaultdict(lambda: prices))


def toy(grid, decoder, draw=drawn, images=9):
    return draw(Toy(images, grid, 1.5, guidance=1.5), decoder, PLAIN, torch.arange(images))


def windows(decoder, sharpness, passes=12):
    """How many drafts each pass asks about."""
    session = Toy(4, Grid(8, 8, 16), sharpness)
    drawing, asked = Drawing(session, decoder, PLAIN, torch.arange(4)), []
    for _ in range(passes):
        asked.append(drawing.decoder.draft(drawing.canvas, drawing.state).tokens.shape[1] - 1)
        drawing.advance()
    return asked


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
@pytest.mark.parametrize("prices", [FLAT, STEEP, JUMP], ids=["flat", "steep", "jump"])
def test_tokens_are_those_of_ar(grid, prices):
    for draw in (drawn, coming_and_going, one_by_one):
        assert torch.equal(toy(grid, priced(prices), draw), toy(grid, ar()))


def test_real_prices_leave_no_trace_in_the_image(emoji):
    prompts = ["a cat on a white background", "two red hearts on a blue background"]
    assert torch.equal(
        emoji(prompts, decoder="auto", seed=3).tokens, emoji(prompts, decoder="jacobi(8)", seed=3).tokens
    )


def test_drafts_that_cost_nothing_are_all_asked_about():
    assert windows(priced(FLAT), 0.5, passes=3)[0] == 63


def test_drafts_that_cost_as_much_as_passes_are_seldom_asked_about():
    asked = windows(priced(STEEP), 3.0, passes=40)
    assert asked[30:].count(0) >= 8
    assert max(asked[20:]) > 0, "nobody looks whether drafts have come to stand"


def test_success_widens_the_window():
    decoder, gains = priced(Fixed(lambda n: 1 + n / 16)), []
    for sharpness in (0.2, 4.0):
        drawing = Drawing(Toy(4, Grid(8, 8, 16), sharpness), decoder, PLAIN, torch.arange(4))
        for _ in range(3):
            drawing.advance()
        gains.append(drawing.state[-1])
    assert gains[0][:, 0].mean() > gains[1][:, 0].mean() + 1
    few, many = (decoder.choice(torch.tensor([[gain, 3.0]])) for gain in (2.0, 20.0))
    assert few < many


def test_the_largest_window_is_kept():
    assert max(windows(priced(FLAT, window=5), 0.5)) == 5
    assert isinstance(decoder("auto(window=5)"), Adaptive)


def test_greedy_is_greedy():
    greedy, session = Sampling(temperature=0), Toy(5, WIDE, 1.5)
    seeds = torch.arange(5)
    assert torch.equal(drawn(session, priced(FLAT), greedy, seeds), drawn(session, jacobi(3), greedy, seeds))


# Prices.


def test_prices_are_a_line_through_the_passes():
    prices = Prices()
    for n in (1, 9, 33, 17, 65, 33):
        prices.note(n, 0.004 + 0.0003 * n)
    assert prices(np.array([1, 40])) == pytest.approx([0.0043, 0.016], rel=0.03)


def test_new_prices_outweigh_old_ones():
    prices = Prices()
    for seconds in [1.0] * 300 + [3.0] * 1500:
        prices.note(10, seconds)
        prices.note(20, 2 * seconds)
    assert prices(np.array([10, 20])) == pytest.approx([3, 6], rel=0.05)


def test_before_two_sizes_are_known_a_line_is_assumed():
    prices = Prices()
    before = prices(np.array([1, 33]))
    prices.note(33, 0.02)
    assert prices(np.array([33])) == pytest.approx(0.02)
    after = prices(np.array([1, 33]))
    assert after[1] / after[0] == pytest.approx(before[1] / before[0])


def test_prices_never_fall_below_nothing():
    falling, rising = Prices(), Prices()
    for n, seconds in ((1, 9.0), (30, 1.0)) * 50:
        falling.note(n, seconds)
        rising.note(n, n**3.0)
    assert (falling(np.arange(1, 300)) > 0).all()
    assert (rising(np.arange(1, 300)) > 0).all()


def test_a_pass_is_timed():
    ticks = iter([1.0, 1.5, 7.0, 7.8])
    prices = Prices(lambda: next(ticks))
    for n in (10, 20):
        prices.start()
        prices.stop(n)
    assert prices(np.array([10, 20])) == pytest.approx([0.5, 0.8], rel=0.15)


def test_networks_have_their_own_prices():
    slow, quick = (fewpass.load("emoji") for _ in range(2))
    ready = [
        auto().prepared(p.model.open(["a star on a teal background"], p.model.grid(None), 1.0, [None]))
        for p in (slow, slow, quick)
    ]
    assert ready[0].prices is ready[1].prices
    assert ready[0].prices is not ready[2].prices


def test_every_number_of_images_has_its_own_prices():
    decoder = auto()
    for images in (1, 3):
        drawn(Toy(images, WIDE), decoder, PLAIN, torch.arange(images))
    assert decoder.prices[1] is decoder.prices[1]
    assert set(decoder.prices) == {1, 3}
    before = decoder.prices[3](np.array([5]))
    decoder.prices[1].note(5, 1e6)
    assert decoder.prices[3](np.array([5])) == before
