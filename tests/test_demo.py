"""The demo without a browser: turns, options and views."""

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
import fewpass.demo.comparison
import fewpass.io.extra
from fewpass.cli import main
from fewpass.core.canvas import Grid
from fewpass.demo.comparison import WARM_UP, Comparison, Models, Stream, compare
from fewpass.demo.html import EXAMPLES, alert, board, describe, examples_of, verdict
from fewpass.demo.view import View, heat
from fewpass.io.png_metadata import KEY
from fewpass.viz.colours import colour
from tests.llamagen import write_c2i
from tests.tiny import SIDE

N = SIDE**2
PROMPT = "two red stars"
GRID = Grid(16, 16, 8)


# Comparison.


@dataclass
class Runner:
    """A stream whose passes take given seconds."""

    passes: list[float]
    trace: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(seconds=0.0))
    done: int = 0

    @property
    def finished(self):
        return self.done == len(self.passes)

    def __next__(self):
        self.trace.seconds += self.passes[self.done]
        self.done += 1


def test_times_of_both_differ_by_at_most_one_pass():
    quick, slow = Runner([1.0] * 50), Runner([4.0, 2.5, 7.0, 3.0] * 3)
    comparison = Comparison([quick, slow])
    while not (quick.finished or slow.finished):
        comparison.step()
        assert abs(quick.trace.seconds - slow.trace.seconds) <= 7
    while not comparison.finished:
        comparison.step()
    assert (quick.trace.seconds, slow.trace.seconds) == (50, 49.5)


def test_first_to_finish_is_first_alone_too():
    for first, second in ((3.0, 4.0), (4.0, 3.0)):
        runners = [Runner([first] * 10), Runner([second / 2] * 20)]
        comparison = Comparison(runners)
        while not any(runner.finished for runner in runners):
            comparison.step()
        assert [runner.finished for runner in runners] == [first < second, second < first]


def test_updates_take_a_third_of_the_time_at_most(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(fewpass.demo.comparison.time, "perf_counter", lambda: now[0])

    class Timed(Runner):
        def __next__(self):
            now[0] += self.passes[self.done]
            super().__next__()

    looking = 0.0
    for _ in Comparison([Timed([0.01] * 5000)]).updates():
        now[0] += 1.0  # a dear look
        looking += 1.0
    assert 0.28 < looking / now[0] <= 0.34
    shown = sum(1 for _ in Comparison([Timed([0.01] * 1000)]).updates())
    assert 80 < shown < 110  # and ten in a second if they cost nothing


# Options.


def test_comparison_equals_calls_of_the_pipeline(pipeline):
    comparison = compare(pipeline, PROMPT, "sjd", 4, 2.0, "7")
    list(comparison.warm_up())
    while not comparison.finished:
        comparison.step()
    for stream, decoder in zip(comparison.streams, ("ar", "sjd(window=4)"), strict=True):
        alone = pipeline(PROMPT, decoder=decoder, guidance=2.0, seed=7)
        assert torch.equal(stream.result().tokens, alone.tokens)
        assert stream.trace.passes.tolist() == alone.trace.passes.tolist()  # warming up counts for nothing
    assert not comparison.same


def test_warm_up_can_be_stopped_behind_each_pass(pipeline, monkeypatch):
    passes, drawn = [], Stream.__next__
    monkeypatch.setattr(Stream, "__next__", lambda stream: (passes.append(1), drawn(stream))[1])
    comparison = compare(pipeline, PROMPT, "sjd", 4, 2.0, "7")
    assert [len(passes) for _ in comparison.warm_up()] == list(range(1, 2 * WARM_UP + 1))
    assert not any(stream.canvas for stream in comparison.streams)


def test_jacobi_draws_the_same_tokens(pipeline):
    comparison = compare(pipeline, PROMPT, "jacobi", None, None, "7")
    while not comparison.finished:
        comparison.step()
    assert comparison.same


def test_blank_seed_is_random_and_shared(pipeline):
    comparisons = [compare(pipeline, PROMPT, "sjd", None, None, " ") for _ in range(2)]
    first, second = [[stream.job.seed for stream in comparison.streams] for comparison in comparisons]
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
        ({"seed": "x"}, r"a seed must be a whole number < 2\*\*63, got 'x'"),
        ({"seed": "-1"}, "a seed must lie in .*got -1"),
    ],
)
def test_values_out_of_range_are_named(pipeline, wrong, message):
    given = {"prompt": PROMPT, "spelling": "sjd", "window": None, "guidance": None, "seed": "7"} | wrong
    with pytest.raises(ValueError, match=message):
        compare(pipeline, **given)


def test_models_keep_one_in_memory():
    loaded = []
    models = Models(["a", "b", "a"], lambda name: loaded.append(name) or object())
    assert models.names == ["a", "b"]
    assert models["a"] is models["a"]
    assert models["b"] is not models["a"]
    assert loaded == ["a", "b", "a"]


# Views.


def picture(url):
    return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))


def test_view_of_an_unfinished_drawing(pipeline):
    comparison = compare(pipeline, PROMPT, "mc_sjd", 4, None, "7")
    stream = comparison.streams[0]
    view = View(stream.job.decoder, stream.job.grid).updated(stream)
    assert view.picture == ""
    for _ in range(5):
        next(stream)
    view = view.updated(stream)
    assert (view.passes, view.tokens, view.grid.size, view.finished) == (5, 5, N, False)
    alpha = np.array(picture(view.picture))[::2, ::2, 3]
    assert (alpha.ravel() > 0).tolist() == [True] * 5 + [False] * (N - 5)
    assert (np.array(picture(view.heat))[..., 3].ravel() > 0).tolist() == [True] * 5 + [False] * (N - 5)


def test_view_of_a_finished_drawing_holds_its_settings(pipeline):
    comparison = compare(pipeline, PROMPT, "mc_sjd", 4, None, "7")
    for _ in comparison.updates():
        pass
    stream = comparison.streams[1]
    view, spent = View(stream.job.decoder, stream.job.grid).updated(stream), stream.trace.seconds
    assert view.finished
    assert view.seconds <= spent
    assert view.updated(stream) is view
    shown = picture(view.picture)
    alone = pipeline(PROMPT, decoder="mc_sjd(window=4)", seed=7).images[0]
    assert np.array_equal(np.array(shown), np.array(alone))
    assert f'"decoder": "{comparison.streams[1].job.decoder}"' in shown.info[KEY]


def test_heat_is_the_pass_that_committed_each_token():
    pixels = np.array(Image.open(io.BytesIO(heat(np.array([[1, 16], [4, 0]]), 16))))
    assert pixels[0, 0].tolist() == [*colour(np.array(0.0)).tolist(), 255]
    assert pixels[0, 1].tolist() == [*colour(np.array(1.0)).tolist(), 255]
    assert pixels[1, 0].tolist() == [*colour(np.array((3 / 15) ** 0.5)).tolist(), 255]
    assert pixels[1, 1, 3] == 0


def views(**rival):
    fast = {"decoder": fewpass.mc_sjd(), "passes": 64, "seconds": 2.0} | rival
    return [
        View(fewpass.ar(), GRID, tokens=256, passes=256, seconds=5.0, finished=True),
        View(grid=GRID, tokens=256, finished=True, **fast),
    ]


@pytest.mark.parametrize(
    ("rival", "same", "said"),
    [
        ({}, False, "mc_sjd took 64 passes instead of 256: 4.0 times fewer, and 2.0 s instead of 5.0 s"),
        ({"seconds": 7.0}, False, "4.0 times fewer, but 7.0 s instead of 5.0 s"),
        ({"passes": 256}, False, "mc_sjd took 256 passes, as many as ar, and"),
        ({}, False, "Lossless: another picture from the same distribution."),
        ({"decoder": fewpass.sjdpp()}, False, "Lossy: not exactly the model's distribution."),
        ({}, True, "The pictures are the same, token for token."),
    ],
)
def test_verdict_compares_passes_seconds_and_pictures(rival, same, said):
    assert said in verdict(views(**rival), same)


def test_board_shows_both_panels_and_one_scale():
    page = board(views(), "so & so")
    assert re.findall(r'aria-label="(\w+)" data-passes="(\d+)"', page) == [("ar", "256"), ("mc_sjd", "64")]
    assert "so &amp; so" in page
    assert page.count('class="fp-legend"') == 1
    assert "<span>1</span><span>17</span><span>65</span><span>144</span><span>256</span>" in page


def test_alert_escapes_html():
    assert "<b>" not in alert("unknown decoder '<b>'")


def test_describe_gives_window_and_text():
    window, told = describe("sjdpp(window=9)")
    assert window == 9
    assert "Lossy" in told
    assert describe("ar")[0] is None
    assert "<code>ar</code>" in describe("jacobi")[1]
    assert describe("nonsense") == describe(None) == (None, "")


def test_examples_are_in_the_words_of_the_model(emoji):
    grid = emoji.model.grid(None)
    for text in EXAMPLES["emoji"]:
        assert len(emoji.model.prompt_ids(text, grid)) > 3
    assert examples_of(emoji.model) == EXAMPLES["emoji"]


def test_examples_of_a_class_conditional_model_are_classes(tmp_path):
    named, numbered = (fewpass.load(model, "cpu").model for model in ("photo", write_c2i(tmp_path / "c2i")))
    assert examples_of(named) == ("autumn leaves", "green meadow", "clouds", "mountains")
    assert examples_of(numbered) == ("0", "1", "2", "3")


# On the command line.


def test_missing_extra_is_named_with_its_command(monkeypatch, capsys):
    monkeypatch.setattr(fewpass.io.extra, "find_spec", lambda name: None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == 'fewpass: gradio is not installed: pip install "fewpass[demo]"\n'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "65536"], "65536"),
        (["--port", "x"], "got 'x'"),
        (["--host", "192.0.2.1"], "cannot listen on '192.0.2.1', port 7860: "),
        (["--model", "no/such model"], "no/such model"),
    ],
)
def test_bad_options_are_one_line(arguments, said, monkeypatch, capsys):
    pytest.importorskip("uvicorn", reason="the extra demo or serve is not installed: pip install 'fewpass[demo]'")
    monkeypatch.setattr(fewpass.io.extra, "find_spec", lambda name: "it is there")
    assert main(["demo", *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_port_in_use_is_named_before_models_are_loaded(monkeypatch, capsys):
    pytest.importorskip("uvicorn", reason="the extra demo or serve is not installed: pip install 'fewpass[demo]'")
    monkeypatch.setattr(fewpass.io.extra, "find_spec", lambda name: "it is there")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["demo", "--port", str(port), "--model", "no/such model"]) == 2
    assert capsys.readouterr().err == f"fewpass: cannot listen on '127.0.0.1', port {port}: Address already in use\n"
