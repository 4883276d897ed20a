"""The demo without a browser: who draws next, what is asked, and what is shown."""

import base64
import io
import re
import socket
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import fewpass
import fewpass.cli.demo
import fewpass.demo.race
from fewpass.cli import main
from fewpass.demo.board import board, verdict
from fewpass.demo.contest import contest
from fewpass.demo.drawing import Stream
from fewpass.demo.panel import Panel, View, heat
from fewpass.demo.race import Race
from fewpass.demo.shelf import Shelf
from fewpass.demo.words import EXAMPLES, alert, examples_of, told_of
from fewpass.io.png_metadata import KEY
from fewpass.viz.colour_scale import colour
from tests.tiny import SIDE

N = SIDE**2
PROMPT = "two red stars"


# Turns.


@dataclass
class Runner:
    """A stream whose passes take what they are said to."""

    passes: list[float]
    trace: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(seconds=0.0))
    done: int = 0

    @property
    def finished(self):
        return self.done == len(self.passes)

    def __next__(self):
        self.trace.seconds += self.passes[self.done]
        self.done += 1


def test_both_have_had_the_same_time_up_to_one_pass():
    quick, slow = Runner([1.0] * 50), Runner([4.0, 2.5, 7.0, 3.0] * 3)
    race = Race([quick, slow])
    while not (quick.finished or slow.finished):
        race.turn()
        assert abs(quick.trace.seconds - slow.trace.seconds) <= 7
    while not race.over:
        race.turn()
    assert (quick.trace.seconds, slow.trace.seconds) == (50, 49.5)


def test_who_would_be_first_alone_is_first():
    for first, second in ((3.0, 4.0), (4.0, 3.0)):
        runners = [Runner([first] * 10), Runner([second / 2] * 20)]
        race = Race(runners)
        while not any(runner.finished for runner in runners):
            race.turn()
        assert [runner.finished for runner in runners] == [first < second, second < first]


def test_looks_take_a_third_of_the_time_at_most(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(fewpass.demo.race.time, "perf_counter", lambda: now[0])

    class Timed(Runner):
        def __next__(self):
            now[0] += self.passes[self.done]
            super().__next__()

    looking = 0.0
    for _ in Race([Timed([0.01] * 5000)]).looks(lambda: False):
        now[0] += 1.0  # a dear look
        looking += 1.0
    assert 0.28 < looking / now[0] <= 0.34
    shown = sum(1 for _ in Race([Timed([0.01] * 1000)]).looks(lambda: False))
    assert 80 < shown < 110  # and ten in a second if they cost nothing


def test_a_race_that_is_stopped_draws_no_further():
    runner = Runner([1.0] * 10)
    for _ in Race([runner]).looks(lambda: runner.done == 3):
        pass
    assert runner.done == 3


# What is asked.


def test_both_draw_what_the_pipeline_draws(pipeline):
    race = contest(pipeline, PROMPT, "sjd", 4, 2.0, "7")
    while not race.over:
        race.turn()
    for stream, decoder in zip(race.streams, ("ar", "sjd(window=4)"), strict=True):
        alone = pipeline(PROMPT, decoder=decoder, guidance=2.0, seed=7)
        assert torch.equal(stream.result().tokens, alone.tokens)
        assert stream.trace.passes.tolist() == alone.trace.passes.tolist()  # warming up counts for nothing
    assert not race.same


def test_stop_ends_the_warm_up(pipeline, monkeypatch):
    passes, drawn = [], Stream.__next__
    monkeypatch.setattr(Stream, "__next__", lambda stream: (passes.append(1), drawn(stream))[1])
    race = contest(pipeline, PROMPT, "sjd", 4, 2.0, "7", lambda: len(passes) >= 2)
    assert len(passes) == 2
    assert not race.over
    assert list(race.looks(lambda: True)) == []


def test_jacobi_draws_the_same_tokens(pipeline):
    race = contest(pipeline, PROMPT, "jacobi", None, None, "7")
    while not race.over:
        race.turn()
    assert race.same


def test_without_a_seed_both_draw_with_one_nobody_chose(pipeline):
    races = [contest(pipeline, PROMPT, "sjd", None, None, " ") for _ in range(2)]
    first, second = [[stream.job.seed for stream in race.streams] for race in races]
    assert first[0] == first[1] != second[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prompt": ""}, "a prompt must say something, got ''"),
        ({"prompt": "a dragon"}, "unknown to .*'dragon'"),
        ({"spelling": None}, "choose a decoder"),
        ({"spelling": "fast"}, "unknown decoder 'fast'"),
        ({"window": -2}, "window .*-2"),
        ({"window": 1.5}, "window must be a whole number of drafts >= 0, got 1.5"),
        ({"guidance": -1}, "guidance must be a number >= 0, got -1"),
        ({"seed": "x"}, "a seed must be a whole number, not 'x'"),
        ({"seed": "-1"}, "a seed must lie in .*got -1"),
    ],
)
def test_what_will_not_do_is_named(pipeline, wrong, message):
    given = {"prompt": PROMPT, "spelling": "sjd", "window": None, "guidance": None, "seed": "7"} | wrong
    with pytest.raises(ValueError, match=message):
        contest(pipeline, **given)


def test_one_model_is_in_memory_at_a_time():
    loaded = []
    shelf = Shelf(["a", "b", "a"], lambda name: loaded.append(name) or object())
    assert shelf.names == ["a", "b"]
    assert shelf["a"] is shelf["a"]
    assert shelf["b"] is not shelf["a"]
    assert loaded == ["a", "b", "a"]
    with pytest.raises(ValueError, match="there is no model '/etc' here; there is a, b"):
        shelf["/etc"]


# What is shown.


def picture(url):
    return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))


def test_a_look_in_the_middle(pipeline):
    race = contest(pipeline, PROMPT, "mc_sjd", 4, None, "7")
    panel = Panel(race.streams[0], None)
    assert panel.look().picture == ""
    for _ in range(5):
        next(race.streams[0])
    view = panel.look()
    assert (view.passes, view.tokens, view.total, view.finished) == (5, 5, N, False)
    alpha = np.array(picture(view.picture))[::2, ::2, 3]
    assert (alpha.ravel() > 0).tolist() == [True] * 5 + [False] * (N - 5)
    assert (np.array(picture(view.heat))[..., 3].ravel() > 0).tolist() == [True] * 5 + [False] * (N - 5)


def test_a_finished_picture_can_be_drawn_again(pipeline):
    race = contest(pipeline, PROMPT, "mc_sjd", 4, None, "7")
    for _ in race.looks(lambda: False):
        pass
    panel = Panel(race.streams[1], None)
    view, spent = panel.look(), race.streams[1].trace.seconds
    assert view.finished
    assert view.seconds <= spent
    assert panel.look() is view
    shown = picture(view.picture)
    alone = pipeline(PROMPT, decoder="mc_sjd(window=4)", seed=7).images[0]
    assert np.array_equal(np.array(shown), np.array(alone))
    assert f'"decoder": "{race.streams[1].job.decoder}"' in shown.info[KEY]


def test_heat_is_when_tokens_became_final():
    pixels = np.array(Image.open(io.BytesIO(heat(np.array([[1, 16], [4, 0]]), 16))))
    assert pixels[0, 0].tolist() == [*colour(np.array(0.0)).tolist(), 255]
    assert pixels[0, 1].tolist() == [*colour(np.array(1.0)).tolist(), 255]
    assert pixels[1, 0].tolist() == [*colour(np.array((3 / 15) ** 0.5)).tolist(), 255]
    assert pixels[1, 1, 3] == 0


def views(**rival):
    fast = {"decoder": fewpass.mc_sjd(), "passes": 64, "seconds": 2.0} | rival
    return [
        View(fewpass.ar(), 16, 16, 256, tokens=256, passes=256, seconds=5.0, finished=True),
        View(rows=16, cols=16, total=256, tokens=256, finished=True, **fast),
    ]


@pytest.mark.parametrize(
    ("rival", "same", "said"),
    [
        ({}, False, "mc_sjd took 64 passes instead of 256: 4.0 times fewer, and 2.0 s instead of 5.0 s"),
        ({"seconds": 7.0}, False, "4.0 times fewer, but 7.0 s instead of 5.0 s"),
        ({"passes": 256}, False, "mc_sjd took 256 passes, as many as ar, and"),
        ({}, False, "Lossless: another picture from the same distribution."),
        ({"decoder": fewpass.sjdpp()}, False, "Lossy: not exactly the model's distribution any more."),
        ({}, True, "The pictures are the same, token for token."),
    ],
)
def test_the_verdict_says_what_happened(rival, same, said):
    assert said in verdict(views(**rival), same)


def test_the_board_shows_both_and_one_scale():
    page = board(views(), "so & so")
    assert re.findall(r'aria-label="(\w+)" data-passes="(\d+)"', page) == [("ar", "256"), ("mc_sjd", "64")]
    assert "so &amp; so" in page
    assert page.count('class="fp-legend"') == 1
    assert "<span>1</span><span>17</span><span>65</span><span>144</span><span>256</span>" in page


def test_nothing_that_was_typed_becomes_html():
    assert "<b>" not in alert("unknown decoder '<b>'")


def test_decoders_are_explained():
    window, told = told_of("sjdpp(window=9)")
    assert window == 9
    assert "Lossy" in told
    assert told_of("ar")[0] is None
    assert "<code>ar</code>" in told_of("jacobi")[1]
    assert told_of("nonsense") == told_of(None) == (None, "")


def test_the_examples_are_prompts_that_the_model_can_read(emoji):
    grid = emoji.model.grid(None)
    for text in EXAMPLES["emoji"]:
        assert len(emoji.model.prompt_ids(text, grid)) > 3
    assert set(examples_of("another")).isdisjoint(EXAMPLES["emoji"])


# On the command line.


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(fewpass.cli.demo, "find_spec", lambda name: None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == 'fewpass: the demo is a page made with Gradio: pip install "fewpass[demo]"\n'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "0"),
        (["--port", "65536"], "65536"),
        (["--port", "x"], "'x' is not a whole number"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1: "),
        (["--model", "no/such model"], "no/such model"),
    ],
)
def test_what_cannot_be_served_is_one_line(arguments, said, monkeypatch, capsys):
    monkeypatch.setattr(fewpass.cli.demo, "find_spec", lambda name: "it is there")
    assert main(["demo", *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_a_port_in_use_is_named_before_anything_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr(fewpass.cli.demo, "find_spec", lambda name: "it is there")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["demo", "--port", str(port), "--model", "no/such model"]) == 2
    assert capsys.readouterr().err == f"fewpass: cannot listen on 127.0.0.1:{port}: Address already in use\n"
