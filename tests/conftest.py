import pytest
import torch

import fewpass
from fewpass import Pipeline
from tests import tiny

torch.set_num_threads(1)  # toy tensors are too small to share


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A small Janus checkpoint. Not to be changed."""
    return tiny.write(tmp_path_factory.mktemp("janus") / "tiny")


@pytest.fixture(scope="session")
def pipeline(folder) -> Pipeline:
    """The small checkpoint in float64, in which fixed noise is exact."""
    return fewpass.load(folder, "cpu", "float64")


@pytest.fixture(scope="session")
def emoji() -> Pipeline:
    """The bundled model in float64."""
    return fewpass.load("emoji", "cpu", "float64")


PROMPTS = {
    "emoji": ["two stars", "a star on a blue background", "three cats"],
    "photo": ["autumn leaves", "brick wall", "cat"],
}


@pytest.fixture(scope="session", params=list(PROMPTS))
def bundled(request, emoji) -> tuple[Pipeline, list[str]]:
    """Each bundled model in float64, and three prompts for it."""
    name = request.param
    return (emoji if name == "emoji" else fewpass.load(name, "cpu", "float64")), PROMPTS[name]


@pytest.fixture(scope="session")
def by_ar(bundled) -> torch.Tensor:
    """The tokens that `ar` draws of the three prompts with the seeds 3, 4 and 5."""
    model, prompts = bundled
    return model(prompts, decoder="ar", seed=3).tokens
