"""Values in messages."""

import numpy
import pytest

from fewpass.core.messages import shown

DEEP: list = []
for _ in range(10_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("value", ["two stars", 10**29, -1.5, None, (512, 384), {"size": [1, 2]}, "\n\ud800"])
def test_shown_is_the_repr_of_a_short_value(value):
    assert shown(value) == repr(value)


LONG = ["x" * 10_000, 10**5000, [10**5000], 10**4000, list(range(10_000)), DEEP, b"x" * 999]


def test_shown_is_one_line_for_arrays():
    assert "\n" not in shown(numpy.zeros((3, 3)))


@pytest.mark.parametrize("value", LONG, ids=lambda value: type(value).__name__)
def test_shown_is_bounded_for_any_value(value):
    assert len(shown(value)) <= 65
    assert len(shown(value, 100)) <= 105
