"""A release that changes people's images says so."""

import pytest

from fewpass import RECIPES
from tests import golden


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("model", golden.MODELS)
def test_images_are_what_they_have_always_been(model, name):
    if not golden.path(model).exists():
        pytest.skip("golden file not generated")
    assert golden.MODELS[model](name) == golden.frozen(model).get(name), (
        f"A release with this change would draw other images for the same seeds with {name!r}. If that is meant to be,"
        f" say so in the change log and accept it with: python -m tests.golden {model}"
    )
