"""Published checkpoints, for those who have some; docs/models.md says how."""

import os
from pathlib import Path

import pytest

import fewpass
from fewpass.models.hub import has_config
from fewpass.testing.model_checks import check_model

HOME = os.environ.get("FEWPASS_WEIGHTS")
NO_WEIGHTS = "needs published checkpoints: FEWPASS_WEIGHTS is to name a folder that holds some"

pytestmark = pytest.mark.weights


def checkpoints(home: str | None) -> list[Path]:
    """The folders and LlamaGen files in `home`, or its own files."""
    if home is None:
        return []
    below = [Path(home), *sorted(path for path in Path(home).iterdir() if path.is_dir())]
    files = [file for folder in below if not has_config(folder) for file in sorted(folder.glob("?2i_*.pt"))]
    return [folder for folder in below if has_config(folder)] + files


@pytest.fixture(scope="module", params=checkpoints(HOME) or [None], ids=str)
def pipe(request):
    if request.param is None:
        pytest.skip(NO_WEIGHTS if HOME is None else f"there is no checkpoint in {HOME}")
    return fewpass.load(request.param, os.environ.get("FEWPASS_WEIGHTS_DEVICE", "cpu"))


def test_the_contract(pipe):
    assert [finding for finding in check_model(pipe.model) if not finding.passed] == []


def test_fixed_noise_draws_the_image_of_autoregression(pipe):
    prompt = "207" if getattr(pipe.model, "labels", 0) else "a red fox in the snow"
    drawn, expected = (pipe(prompt, decoder=decoder, seed=0) for decoder in ("jacobi(window=15)", "ar"))
    same = (drawn.tokens == expected.tokens).double().mean()
    assert same == 1 or pipe.model.model.dtype.itemsize < 4, f"{same:.1%} of the tokens are the same"
    assert drawn.trace.passes.max() < expected.trace.passes.max()
