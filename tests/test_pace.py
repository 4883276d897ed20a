"""Images per second, and the time that is left."""

import pytest

from fewpass.cli.pace import Pace, spoken


def test_the_rate_is_that_of_this_run():
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
def test_times_are_spoken(seconds, said):
    assert spoken(seconds) == said
