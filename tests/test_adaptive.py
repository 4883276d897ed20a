"""A window that follows costs and success, and never shows in the image."""

from dataclasses import replace

import pytest
import torch

import fewpass
from fewpass import Drawing, Grid, Sampling, ar, auto, decoder, jacobi
from fewpass.adaptive import WINDOWS, Adaptive, costs
from fewpass.testing import Toy, coming_and_going, drawn
from tests.toys import PLAIN, WIDE, WIDE_ROW_ENDS, one_by_one

FLAT = (1.0,) * 12
STEEP = tuple(1.0 + w for w in WINDOWS)


def priced(seconds, window=128):
    return replace(auto(window), seconds=seconds)


def toy(grid, decoder, draw=drawn, images=9):
    return draw(Toy(images, grid, 1.5, guidance=1.5), decoder, PLAIN, torch.arange(images))


def windows(decoder, sharpness, passes=12):
    """How many drafts each pass asks about."""
    session = Toy(4, Grid(8, 8, 16), sharpness)
    drawing, asked = Drawing(session, decoder, PLAIN, torch.arange(4)), []
    for _ in range(passes):
        fed = drawing.decoder.draft(drawing.canvas, drawing.state).tokens.shape[1] - drawing.decoder.recall.again(
            drawing.state
        )
        asked.append(drawing.decoder._asked(fed))
        drawing.advance()
    return asked


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
@pytest.mark.parametrize("seconds", [FLAT, STEEP, tuple(1 + (w > 5) * 9.0 for w in WINDOWS)])
def test_tokens_are_those_of_ar(grid, seconds):
    for draw in (drawn, coming_and_going, one_by_one):
        assert torch.equal(toy(grid, priced(seconds), draw), toy(grid, ar()))


def test_measured_costs_leave_no_trace_in_the_image():
    pipe = fewpass.load("emoji", dtype="float64")
    prompts = ["a cat on a white background", "two red hearts on a blue background"]
    assert torch.equal(pipe(prompts, decoder="auto", seed=3).tokens, pipe(prompts, decoder="jacobi(8)", seed=3).tokens)


def test_costs_are_measured_once_and_never_fall():
    session = Toy(2, WIDE)
    first = costs(session, (1, 5, 17))
    assert first is costs(session, (1, 5, 17))
    assert 0 < first[0] <= first[1] <= first[2]


def test_drafts_that_cost_nothing_are_all_asked_about():
    asked = windows(priced(FLAT), 0.5, passes=3)
    assert asked[0] == 63
    assert min(asked) > 48  # what is left of the image


def test_drafts_that_cost_as_much_as_passes_are_seldom_asked_about():
    asked = windows(priced(STEEP), 3.0, passes=40)
    assert asked[30:].count(0) >= 8
    assert max(asked[10:]) > 0, "nobody looks whether drafts have come to stand"


def test_success_widens_the_window():
    middling = tuple(1 + w / 16 for w in WINDOWS)
    assert sum(windows(priced(middling), 0.2)) > sum(windows(priced(middling), 4.0))


def test_the_largest_window_is_kept():
    assert max(windows(priced((1.0, 1.0, 1.0, 1.0), window=5), 0.5)) == 5
    assert isinstance(decoder("auto(window=5)"), Adaptive)


def test_greedy_is_greedy():
    greedy, session = Sampling(temperature=0), Toy(5, WIDE, 1.5)
    seeds = torch.arange(5)
    assert torch.equal(drawn(session, priced(FLAT), greedy, seeds), drawn(session, jacobi(3), greedy, seeds))
