"""Images per second, and the time that is left."""

import time

from fewpass.viz.progress import Step, do, images_drawn


def test_images_of_an_earlier_run_do_not_count_for_the_time_left(capsys):
    now = [100.0]
    with images_drawn(50, before=10, clock=lambda: now[0]) as show:
        now[0] += 40
        show()
    assert capsys.readouterr().err == "11/50 images, 0.025 images/s, 0:26:00 left\n"


def test_do_logs_every_half_minute(capsys):
    now = [0.0]
    steps = [Step(what, 10, lambda: now.__setitem__(0, now[0] + 20)) for what in ("a 1", "b 1", "a 2", "b 2", "c", "d")]
    do([*steps, steps[-1]], "all", clock=lambda: now[0])
    assert capsys.readouterr().err.splitlines() == [
        "b 1: 2 of 7 steps, 0:01:40 left",
        "b 2: 4 of 7 steps, 0:01:00 left",
        "d: 6 of 7 steps, 0:00:20 left",
    ]


def test_do_shows_bars_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    do([Step(f"image {n}, sjd", 1, lambda: time.sleep(0.3)) for n in (1, 2)], "all")
    shown = capsys.readouterr().err
    assert "image 1, sjd" in shown
    assert "steps" not in shown


def test_do_accepts_steps_without_cost(capsys):
    now = [0.0]
    do([Step("a", 0, lambda: now.__setitem__(0, 40))], "all", clock=lambda: now[0])
    assert capsys.readouterr().err == "a: 1 of 1 steps, ? left\n"


def test_do_accepts_no_steps(capsys):
    do([], "all")
    assert capsys.readouterr().err == ""
