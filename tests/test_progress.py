"""Images per second, and the time that is left."""

import time

import pytest

from fewpass.viz.progress import Pace, Step, do, spoken


def test_pace_counts_this_run_only():
    now = [100.0]
    pace = Pace(total=50, before=10, clock=lambda: now[0])
    assert (pace.rate, pace.seconds_left) == (0, None)
    assert str(pace) == "10/50 images, 0 images/s, ? left"
    now[0] += 20
    pace.done += 10
    assert (pace.rate, pace.seconds_left) == (0.5, 60)
    assert str(pace) == "20/50 images, 0.5 images/s, 1:00 left"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0:00"), (65, "1:05"), (3600, "1:00:00"), (86400 * 2 + 3 * 3600 + 61, "2 d 3:01:01"), (None, "?")],
)
def test_spoken_formats_times(seconds, said):
    assert spoken(seconds) == said


def test_do_logs_each_decoder_and_every_half_minute(capsys):
    now = [0.0]

    def step(what, of=""):
        return Step(what, 10, lambda: now.__setitem__(0, now[0] + 20), of)

    steps = [step("a 1", "a"), step("b 1", "b"), step("a 2", "a"), step("b 2", "b"), step("c"), step("d"), step("e")]
    do(steps, "all", clock=lambda: now[0])
    assert capsys.readouterr().err.splitlines() == [
        "b 1: 2 of 7 steps, 1:40 left",
        "a 2: 3 of 7 steps, 1:20 left",
        "b 2: 4 of 7 steps, 1:00 left",
        "d: 6 of 7 steps, 0:20 left",
    ]


def test_do_shows_bars_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    do([Step(f"image {n}, sjd", 1, lambda: time.sleep(0.3), "sjd") for n in (1, 2)], "all")
    shown = capsys.readouterr().err
    assert "image 1, sjd" in shown
    assert "steps" not in shown


def test_do_accepts_no_steps(capsys):
    do([], "all")
    assert capsys.readouterr().err == ""
