"""A model that cannot draw ends the commands that would draw many images with it, before the first."""

import shutil

import pytest

import fewpass
import fewpass.io.extra
import fewpass.models.glm_image.diffusion
from fewpass.cli import main
from tests import families, llamagen

WRITERS = {
    "janus": families.write_janus,
    "emu3": families.write_emu3,
    "anole": families.write_anole,
    "lumina": families.write_lumina,
    "glm": families.write_glm_pipeline,
    "llamagen of classes": llamagen.write_c2i,
    "llamagen of captions": llamagen.write_t2i,
}


@pytest.mark.parametrize("family", WRITERS)
def test_model_that_draws_is_ready(family, tmp_path, monkeypatch):
    monkeypatch.setattr(fewpass.models.glm_image.diffusion, "find_spec", lambda name: "it is there")
    fewpass.load(WRITERS[family](tmp_path / family), "cpu").model.check_ready()


@pytest.mark.parametrize("words", ["", "emoji"])
def test_bundled_and_small_models_are_ready(words, pipeline, emoji):
    (emoji if words else pipeline).model.check_ready()


@pytest.fixture
def without_encoder(tmp_path, monkeypatch):
    """LlamaGen of captions without the text encoder that reads them."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = llamagen.write_t2i(tmp_path / "t2i")
    shutil.rmtree(folder / "t5")
    return str(folder)


@pytest.mark.parametrize("command", ["serve", "batch", "demo"])
def test_command_ends_with_what_the_model_is_missing(command, without_encoder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fewpass.io.extra, "find_spec", lambda name: "it is there")
    file = tmp_path / "prompts.txt"
    file.write_text("a red fox\n")
    own = {"serve": ["--port", "0"], "batch": [str(file), "-o", str(tmp_path / "out")], "demo": []}
    if command == "demo":
        pytest.importorskip("uvicorn", reason="the extra demo or serve is not installed: pip install 'fewpass[demo]'")
    if command == "serve":
        pytest.importorskip("fastapi", reason="the extra serve is not installed: pip install 'fewpass[serve]'")
    assert main([command, "--model", without_encoder, *own[command]]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "reads prompts through google/flan-t5-xl, which is neither in a folder t5" in err


def test_model_without_pictures_or_tokenizer_is_not_ready(tmp_path):
    folder = families.write_glm_image(tmp_path / "glm")
    with pytest.raises(ValueError, match="is not a whole diffusers pipeline: it draws tokens, not pictures"):
        fewpass.load(folder, "cpu").model.check_ready()
    janus = fewpass.load(families.write_janus(tmp_path / "janus"), "cpu").model.model
    with pytest.raises(ValueError, match="came without a tokenizer"):
        fewpass.wrap(janus).model.check_ready()
