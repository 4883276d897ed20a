"""Windows that follow prices and success: they never show in the image, or they draw it once more."""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import fewpass
from fewpass import Drawing, Grid, Sampling, ar, auto, decoder, jacobi
from fewpass.decoders.adaptive import ASIDE, EPOCH, FIRST, TRIAL, WHOLE, WINDOWS, Adaptive, Experience, chance
from fewpass.decoders.prices import Prices
from fewpass.decoders.varying import Schedule, Varying
from fewpass.testing import JointLaw, Toy, check_decoder, coming_and_going, drawn
from tests.toys import FREE, PLAIN, ROW_ENDS, WIDE, WIDE_ROW_ENDS, one_by_one


class Fixed(Prices):
    """Prices that nothing changes: `of` the tokens of a pass."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def __call__(self, n):
        return float(self.of(np.float64(n)))


FLAT = Fixed(np.ones_like)
STEEP = Fixed(lambda n: n)
JUMP = Fixed(lambda n: 1 + (n > 50) * 9.0)


def priced(prices, window=128, **options):
    chosen = auto(window, **options)
    return replace(chosen, policy=replace(chosen.policy, experience=experienced(prices)))


def experienced(prices, gain=FIRST):
    return Experience(defaultdict(lambda: prices), gain)


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


def test_drafts_that_cost_as_much_as_passes_are_asked_about_on_trial_only():
    asked = windows(priced(STEEP), 3.0, passes=40)
    # the first window is chosen before there was a pass, and so is the second
    assert min(asked[: TRIAL + 1]) > 0, "nobody has looked whether they stand"
    assert max(asked[TRIAL + 1 :]) == 0


def chosen(policy, passes=100, idle=False, images=3, wins=0.0, chances=0.0):
    policy.experience.passes, policy.experience.idle = passes, idle
    return policy.choose(torch.tensor([[wins, chances]] * images))[0]


@pytest.mark.parametrize("idle", [False, True])
def test_every_so_often_drafts_are_tried_again(idle):
    policy = Adaptive(64, "", experienced(STEEP))
    when = [n for n in range(1200) if chosen(policy, n, idle)]
    assert when == [n for n in range(1200) if n % EPOCH < TRIAL]


def test_after_passes_without_drafts_prices_are_looked_at_now_and_then():
    policy = Adaptive(64, "", experienced(FLAT))
    assert [n for n in range(TRIAL, 100) if chosen(policy, n, idle=True)] == list(range(TRIAL, 100, TRIAL))
    assert all(chosen(policy, n) for n in range(100))


def test_passes_are_counted_over_all_drawings():
    """A trial for every image would cost decoders whose drafts seldom pay more than they may."""
    decoder = priced(STEEP)
    for images in (1, 3):
        drawn(Toy(images, WIDE), decoder, PLAIN, torch.arange(images))
    assert WIDE.size < decoder.policy.experience.passes < 2 * WIDE.size, "one drawing alone has fewer than its tokens"
    assert decoder.policy.experience.idle


@pytest.mark.parametrize(("gain", "pays"), [(1.02, False), (1.04, True)])
def test_drafts_have_to_promise_something(gain, pays):
    """Where a pass of three tokens costs as much as one of one, and all others are too dear."""
    prices = Fixed(lambda n: np.where(n > 3, 100, 1))
    policy = Adaptive(8, "", experienced(prices, (gain - 1) / chance(2, 8)))
    assert chosen(policy) == (2 if pays else 0)


def test_now_and_then_the_next_windows_are_tried_so_that_their_prices_are_known():
    policy = Adaptive(64, "", experienced(Fixed(lambda n: 1 + n / 16)))
    usual, at = chosen(policy), WINDOWS.index(chosen(policy))
    tried = {n: chosen(policy, n) for n in range(64, 129)}
    assert {n: W for n, W in tried.items() if usual != W} == {
        n: WINDOWS[at - 1] if n % (2 * ASIDE) == 0 else WINDOWS[at + 1] for n in range(64, 129, ASIDE)
    }


def test_where_no_drafts_may_pay_they_are_tried_too():
    tried = [chosen(Adaptive(64, "", experienced(Fixed(lambda n: 1 + n / 16), gain)), 64) for gain in (2.5, 10.0)]
    assert tried[0] == 0 < tried[1]


def test_success_widens_the_window():
    policy = Adaptive(64, "", experienced(Fixed(lambda n: 1 + n / 64), 2.0))
    few, usual, many = (chosen(policy, wins=99 * gain, chances=99.0) for gain in (0.2, 2.0, 50.0))
    assert few < usual < many


def test_of_images_drawn_together_all_count():
    policy = Adaptive(64, "", experienced(Fixed(lambda n: 1 + n / 16)))
    rows = [[10.0, 10.0], [500.0, 10.0]]
    policy.experience.passes = TRIAL + 1
    one, both = (policy.choose(torch.tensor(part))[0] for part in (rows[:1], rows))
    assert one < both


def test_what_drafts_win_is_remembered():
    """By the image, which forgets, and by the network, for images to come."""
    policy = Adaptive(64, "", experienced(FLAT))
    history = policy.begin(2, torch.device("cpu"))
    for _ in range(200):
        policy.start(history)
        history = policy.learn(history, 24, torch.tensor([2, 4]))
    assert (history[:, 0] / history[:, 1]).tolist() == pytest.approx([1 / chance(24, 64), 3 / chance(24, 64)])
    assert policy.experience.gain == pytest.approx(2 / chance(24, 64), rel=0.1)
    gain = policy.experience.gain
    assert torch.equal(policy.learn(history, 0, torch.tensor([1, 1])), history)
    assert policy.experience.gain == gain, "a pass without drafts says nothing about drafts"
    poor, rich = (Adaptive(64, "", experienced(Fixed(lambda n: 1 + n / 16), gain)) for gain in (1.0, 50.0))
    assert chosen(poor) < chosen(rich)


def test_drafts_that_reach_into_the_row_below_win_more():
    """A window of a row is chosen where the next smaller and the next larger one would be, but for that."""
    assert [chance(w, 16) / chance(w, 99) for w in (8, 15, 16, 32)] == pytest.approx([1, 1, WHOLE, WHOLE])
    dear = Fixed(lambda n: 1 + n / 9)
    policy = Adaptive(64, "", experienced(dear, 8.0)).prepared(Toy(1, Grid(16, 16, 16)))
    assert policy.row == 16
    assert [chosen(replace(policy, row=row)) for row in (99, 16)] == [8, 16]


def test_the_largest_window_is_kept():
    assert max(windows(priced(FLAT, window=5), 0.5)) == 5
    assert max(windows(priced(FLAT, window=5, decoder="sjd"), 0.5)) == 5
    assert decoder("auto(window=5)").margin == 6


def test_greedy_is_greedy():
    greedy, session = Sampling(temperature=0), Toy(5, WIDE, 1.5)
    seeds = torch.arange(5)
    assert torch.equal(drawn(session, priced(FLAT), greedy, seeds), drawn(session, jacobi(3), greedy, seeds))


# Prices.


def test_prices_are_a_line_through_the_passes():
    prices = Prices()
    for n in (1, 9, 33, 17, 65, 33):
        prices.note(n, 0.004 + 0.0003 * n)
    assert [prices(n) for n in (1, 40)] == pytest.approx([0.0043, 0.016], rel=0.03)


def test_new_prices_outweigh_old_ones():
    prices = Prices()
    for seconds in [1.0] * 300 + [3.0] * 1500:
        prices.note(10, seconds)
        prices.note(20, 2 * seconds)
    assert [prices(n) for n in (10, 20)] == pytest.approx([3, 6], rel=0.05)


def test_before_two_sizes_are_known_a_line_is_assumed():
    prices = Prices()
    before = [prices(n) for n in (1, 33)]
    prices.note(33, 0.02)
    assert prices(33) == pytest.approx(0.02)
    after = [prices(n) for n in (1, 33)]
    assert after[1] / after[0] == pytest.approx(before[1] / before[0])


def test_prices_never_fall_below_nothing():
    falling, rising = Prices(), Prices()
    for n, seconds in ((1, 9.0), (30, 1.0)) * 50:
        falling.note(n, seconds)
        rising.note(n, n**3.0)
    assert all(falling(n) > 0 < rising(n) for n in range(1, 300))


def test_passes_about_one_position_speak_for_themselves():
    prices = Prices()
    for n in (5, 9, 17) * 10:
        prices.note(n, 0.010 + 0.001 * n)
    assert prices(1) == pytest.approx(0.011, rel=0.03)
    for _ in range(32):
        prices.note(1, 0.006)
    assert [prices(n) for n in (1, 5, 33)] == pytest.approx([0.006, 0.015, 0.043], rel=0.03)


def test_a_pass_that_was_held_up_counts_little():
    prices = Prices()
    for n in (5, 9) * 20:
        prices.note(n, 0.01 + 0.001 * n)
    before = prices(9)
    for _ in range(64):
        prices.note(5, 0.015)
    prices.note(5, 10.0)
    for _ in range(64):
        prices.note(9, 0.019)
    assert prices(9) == pytest.approx(before, rel=0.05)


def test_a_size_seldom_seen_holds_its_end_of_the_line():
    """Not the sizes weigh that passes are about most of the time: that would leave the slope to chance."""
    prices, chance = Prices(), np.random.default_rng(0)
    for i in range(640):
        n = 17 if i % 16 == 0 else 5
        prices.note(n, (0.01 + 0.001 * n) * chance.uniform(0.8, 1.2))
    assert [prices(n) for n in (5, 17, 33)] == pytest.approx([0.015, 0.027, 0.043], rel=0.1)


def test_a_pass_is_timed():
    ticks = iter([1.0, 1.5, 7.0, 7.8])
    prices = Prices(lambda: next(ticks))
    for n in (10, 20):
        prices.start()
        prices.stop(n)
    assert [prices(n) for n in (10, 20)] == pytest.approx([0.5, 0.8], rel=0.15)


def test_networks_have_their_own_experience():
    slow, quick = (fewpass.load("emoji") for _ in range(2))
    found = [
        d.prepared(p.model.open(["a star on a teal background"], p.model.grid(None), 1.0, [None])).policy.experience
        for p, d in ((slow, auto()), (slow, auto(9)), (quick, auto()), (slow, auto(decoder="sjd")))
    ]
    assert found[0] is found[1]
    assert len(set(map(id, found))) == 3


def test_every_number_of_images_has_its_own_prices():
    decoder = auto()
    for images in (1, 3):
        drawn(Toy(images, WIDE), decoder, PLAIN, torch.arange(images))
    prices = decoder.policy.experience.prices
    assert prices[1] is prices[1]
    assert {1, 3} <= set(prices)
    before = prices[3](5)
    prices[1].note(5, 1e6)
    assert prices[3](5) == before


# Decoders whose images the windows show in.

OTHERS = ["jacobi", "sjd", "mc_sjd", "mc_sjd(guess=left_sample)", "gs_sjd", "sjd_block"]


@dataclass(frozen=True)
class Fickle:
    """Windows that go up and down with everything that a policy may know."""

    largest: int
    joins = True

    def begin(self, images, device):
        return torch.zeros(images, 1, dtype=torch.float64)

    def choose(self, history):
        return int(history.sum()) * 7919 % 101 % (self.largest + 1), history + 1

    def start(self, history):
        pass

    def learn(self, history, window, won):
        return history + 2 * won[:, None] + window


@dataclass(frozen=True)
class Peeping(Varying):
    """Asks about more drafts where the next one is to its liking: the window depends on what it is to verify."""

    def draft(self, canvas, state):
        return self._within(int(canvas.read(canvas.ahead(1)).sum() % 2) * 2).draft(canvas, state[:-2])


def fickle(spelling, largest=FREE.size - 1):
    return replace(auto(largest, decoder=spelling), policy=Fickle(largest))


@pytest.mark.parametrize("draw", [drawn, coming_and_going])
@pytest.mark.parametrize("grid", [FREE, ROW_ENDS], ids=["free", "row_ends"])
@pytest.mark.parametrize("spelling", OTHERS)
def test_law_is_exact_whatever_the_windows(spelling, grid, draw):
    figure = check_decoder(fickle(spelling), JointLaw(grid, Sampling(0.7), guidance=2.0), draw=draw)
    assert figure.exact, figure


def test_windows_that_depend_on_drafts_are_caught():
    chosen = auto(2, decoder="mc_sjd")
    joint = JointLaw(FREE, Sampling(0.7), guidance=2.0)
    alone = {"draw": one_by_one, "images": 3000}
    assert not check_decoder(Peeping(chosen.decoder, chosen.policy), joint, **alone).exact
    assert check_decoder(Varying(chosen.decoder, Fickle(2)), joint, **alone).exact


def test_fickle_windows_are_fickle():
    for spelling in OTHERS:
        assert len(set(windows(fickle(spelling, 9), 1.0))) > 4


def test_jacobi_draws_the_tokens_of_ar_whatever_the_windows():
    for draw in (drawn, coming_and_going, one_by_one):
        assert torch.equal(toy(WIDE, fickle("jacobi", 9), draw), toy(WIDE, ar()))


@pytest.mark.parametrize("spelling", [*OTHERS, "jacobi_ngram"])
def test_an_image_is_drawn_once_more_with_the_windows_that_it_had(pipeline, spelling):
    """Whoever was drawn beside it; in the trace and in the settings."""
    several = pipeline(["one", "two", "red stars"], decoder=f"auto(window=5, decoder={spelling})", seed=4)
    for i, settings in enumerate(several.settings):
        alone = pipeline(settings["prompt"], decoder=settings["again"], seed=settings["seed"])
        assert torch.equal(alone.tokens[0], several.tokens[i])
        assert torch.equal(alone.trace.committed[0], several.trace.committed[i])
        assert "again" not in alone.settings[0]
        assert alone.settings[0]["decoder"] == settings["again"]


def test_the_trace_says_what_passes_asked_about(pipeline):
    result = pipeline(["one", "two"], decoder="jacobi(3)", seed=4)
    size, passes = result.tokens.shape[1], result.trace.passes.tolist()
    for asked, n in zip(result.trace.asked.tolist(), passes, strict=True):
        assert asked[:2] == [1, 4]
        assert all(1 <= a <= 4 for a in asked[1:n])
        assert asked[n:] == [0] * (size - n)
    streamed = dict(pipeline.stream(["one", "two"], decoder="jacobi(3)", seed=4))
    for i, one in streamed.items():
        alone = pipeline(["one", "two"][i], decoder="jacobi(3)", seed=4 + i)
        assert one.trace.asked[0, :2].tolist() == [1, 4]
        assert (one.trace.asked > 0).sum() == alone.trace.passes.sum() == (alone.trace.asked > 0).sum()


def test_images_with_windows_of_their_own_are_not_drawn_beside_others(pipeline):
    options = {"decoder": "auto(window=4, decoder=mc_sjd, windows=(4, 0, 2, 1, 3))", "seed": 2}
    together = dict(pipeline.stream(["one", "two", "red stars"], batch_size=2, **options))
    for i, prompt in enumerate(["one", "two", "red stars"]):
        alone = pipeline(prompt, **options | {"seed": 2 + i})
        assert torch.equal(together[i].tokens, alone.tokens)
        assert together[i].trace.asked[0, :6].tolist() == [1, 5, 1, 3, 2, 4][: int((alone.trace.asked > 0).sum())][:6]


def test_the_last_window_of_a_schedule_is_for_all_passes_to_come():
    assert windows(auto(6, decoder="sjd", windows=(2, 6, 1)), 4.0, passes=6) == [2, 6, 1, 1, 1, 1]
    assert not Schedule((1,)).joins
