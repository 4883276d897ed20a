import pytest
import torch

from fewpass import RECIPES, Canvas, Trace, ar, decode, jacobi, mc_sjd
from fewpass.engine.trace import Clock, ClockedSession
from fewpass.testing import Toy
from tests.toys import PLAIN, WIDE

N = WIDE.size


def traced(decoder, images=4):
    trace = Trace.blank(images, WIDE)
    canvases = list(trace.watch(decode(Toy(images, WIDE), decoder, PLAIN, torch.arange(images))))
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
    for _, _ in zip(range(3), trace.watch(drawing), strict=False):
        pass
    assert trace.committed.tolist() == [[1, 2, 3] + [0] * (N - 3)] * 2
    assert trace.tokens_per_pass.tolist() == [1.0, 1.0]


def test_watching_changes_nothing():
    canvas = Canvas.blank(WIDE, torch.arange(2), 1)
    assert list(Trace.blank(2, WIDE).watch([canvas])) == [canvas]


def test_clock_adds_up_what_happens_inside(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks) * 2.0)
    clock = Clock(torch.device("cpu"))
    session = ClockedSession(Toy(3, WIDE), clock)
    finished = [sum(canvas.finished) for canvas in decode(session, mc_sjd(8), PLAIN, torch.arange(3))]
    assert finished[-2] > 0  # the session was narrowed
    assert clock.seconds == 2.0 * (len(finished) - 1)  # a tick for each query
