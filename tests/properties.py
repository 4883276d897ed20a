"""Settings of the tests that Hypothesis writes the examples for."""

from hypothesis import settings

REPEATABLE = settings(derandomize=True, database=None, deadline=None)  # the same examples in every run
