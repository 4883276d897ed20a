"""A release that changes people's images says so."""

import pytest

from tests import golden


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in golden.MODELS for name in golden.DRAWN[model]])
def test_images_are_what_they_have_always_been(model, name):
    if not golden.path(model).exists():
        pytest.skip("golden file not generated")
    assert golden.MODELS[model](name) == golden.frozen(model).get(name), (
        f"A release with this change would draw other images for the same seeds with {name!r}. If that is meant to be,"
        f" say so in the change log and accept it with: python -m tests.golden {model}"
    )
