"""What type checkers know of the public names; mypy reads this file, nothing runs it."""

from typing import assert_type

import fewpass
from fewpass import Decoder, Pipeline, Result

pipe = fewpass.load("emoji", device="cpu")
assert_type(pipe, Pipeline)
assert_type(pipe("two stars", decoder=fewpass.sjd(window=8), seed=1), Result)
assert_type(fewpass.jacobi_ngram(window=48, branches=45), Decoder)
fewpass.sjd(windows=8)  # type: ignore[call-arg]
pipe("two stars", temperatur=0.5)  # type: ignore[call-arg]
fewpass.piepline  # type: ignore[attr-defined]  # noqa: B018
