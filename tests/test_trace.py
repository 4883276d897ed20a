import pytest
import torch

from fewpass import RECIPES, Drawing, Trace, ar, decode, jacobi, mc_sjd
from fewpass.engine.trace import Clock
from fewpass.testing import Toy
from tests.toys import PLAIN, WIDE, noted

N = WIDE.size


def traced(decoder, images=4):
    trace = Trace.blank(images, WIDE)
    canvases = list(noted(trace, decode(Toy(images, WIDE), decoder, PLAIN, torch.arange(images))))
    return trace, len(canvases)


def test_autoregression_takes_a_pass_for_each_token():
    trace, passes = traced(ar())
    assert passes == N
    assert trace.passes.tolist() == [N] * 4
    assert trace.committed.tolist() == [list(range(1, N + 1))] * 4
    assert trace.tokens_per_pass.tolist() == [1.0] * 4


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_passes_are_those_of_each_image(recipe):
    trace, passes = traced(recipe())
    assert trace.passes.max() == passes
    assert (trace.committed >= 1).all()
    assert (trace.committed[:, 0] == 1).all()
    assert trace.tokens_per_pass.tolist() == pytest.approx([N / passes for passes in trace.passes.tolist()])


def test_more_than_one_token_becomes_final_in_a_pass():
    trace, _ = traced(jacobi(N))
    assert (trace.tokens_per_pass > 1).all()
    assert (trace.committed.diff(dim=1) >= 0).all()


def test_drawing_that_was_stopped_has_zeros():
    trace, drawing = Trace.blank(2, WIDE), decode(Toy(2, WIDE), ar(), PLAIN, torch.arange(2))
    for _, _ in zip(range(3), noted(trace, drawing), strict=False):
        pass
    assert trace.committed.tolist() == [[1, 2, 3] + [0] * (N - 3)] * 2
    assert trace.tokens_per_pass.tolist() == [1.0, 1.0]


def test_clock_adds_up_what_happens_inside(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks) * 2.0)
    clock = Clock(torch.device("cpu"))
    drawing, passes = Drawing(Toy(3, WIDE), mc_sjd(8), PLAIN, torch.arange(3), clock), 0
    while not all(drawing.canvas.finished):
        drawing.advance()
        passes += 1
    assert clock.seconds == 2.0 * passes > 0  # a tick for each query
