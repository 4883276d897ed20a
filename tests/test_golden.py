"""A release that changes people's images says so."""

import numpy as np
import pytest

from tests import golden

ROUNDED = 5  # of 100 images that a processor which rounds otherwise may change


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in golden.MODELS for name in golden.DRAWN[model]])
def test_images_are_what_they_have_always_been(model, name):
    if not golden.path(model).exists():
        pytest.skip("golden file not generated")
    if name not in golden.frozen(model):
        pytest.skip(f"not frozen yet: python -m tests.golden {model}")
    assert golden.MODELS[model](name) == golden.frozen(model).get(name), (
        f"A release with this change would draw other images for the same seeds with {name!r}. If that is meant to be,"
        f" say so in the change log and accept it with: python -m tests.golden {model}"
    )


def test_float32_images_of_the_default_decoder_are_the_frozen_ones():
    """Frozen on a CPU with AVX-512. The last bits differ from processor to processor, and a token with them."""
    changed = (golden.float32() != np.load(golden.FLOAT32)["tokens"]).any(1)
    assert changed.sum() <= ROUNDED, f"{changed.sum()} of 100 images change; see `python -m tests.golden float32`"
