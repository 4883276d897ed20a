"""Images are drawn again from their settings, their PNG files, and their lines in a batch's results."""

import json
import os
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

import fewpass
import fewpass.models.janus
from fewpass.cli import main
from fewpass.io.png_metadata import png, read_settings
from fewpass.models.llamagen.captions import cleaned
from tests import families, llamagen
from tests.test_glm_image import Diffusion

WRITE = {
    "anole": families.write_anole,
    "lumina": families.write_lumina,
    "emu3": families.write_emu3,
    "glm": families.write_glm_pipeline,
    "janus": families.write_janus,
    "c2i": llamagen.write_c2i,
    "t2i": llamagen.write_t2i,
}
SIZE = {"lumina": (64, 96), "emu3": (32, 24), "glm": (128, 96), "c2i": (8, 8), "t2i": (8, 8)}
PROMPT = {"c2i": "3", "t2i": "a red fox"}
GUIDED = [name for name in WRITE if name != "glm"]


@pytest.fixture(scope="module")
def pipes(tmp_path_factory):
    """Each family, loaded when it is first asked for."""
    home, loaded = tmp_path_factory.mktemp("families"), {}

    def pipe(name):
        if name not in loaded:
            (home / name).mkdir()
            loaded[name] = fewpass.load(WRITE[name](home / name), "cpu")
        return loaded[name]

    return pipe


@pytest.fixture
def diffusers(monkeypatch):
    """GLM-Image's pictures, without the package that makes them."""
    cleaned("a red fox")  # by the real one
    module = types.ModuleType("diffusers")
    module.__spec__ = types.SimpleNamespace(name="diffusers")
    module.GlmImagePipeline = Diffusion
    monkeypatch.setitem(sys.modules, "diffusers", module)


def drawn(pipes, name, **options):
    return pipes(name)(PROMPT.get(name, "a cat on the moon"), size=SIZE.get(name), **options)


@pytest.mark.parametrize("name", WRITE)
def test_settings_draw_the_image_again_for_every_family(pipes, diffusers, name, tmp_path):
    result = drawn(pipes, name, seed=[8, 3], decoder="sjd(window=4, guess=left)", temperature=0.9, top_p=0.95)
    files = result.save(tmp_path)
    for i, settings in enumerate(result.settings):
        for given in (settings, json.loads(json.dumps(settings)), files[i], str(files[i])):
            again = pipes(name).again(given)
            assert torch.equal(again.tokens[0], result.tokens[i])
            assert again.settings[0] == settings
    different = ("model", "lossless", "device", "dtype")
    call = {name: value for name, value in result.settings[1].items() if name not in different}
    assert torch.equal(pipes(name)(**call).tokens[0], result.tokens[1])


@pytest.mark.parametrize("name", GUIDED)
def test_settings_hold_guidance_and_negative_prompt(pipes, name):
    away = {"c2i": "1", "t2i": "dog"}.get(name, "dog")
    result = drawn(pipes, name, seed=5, guidance=2.5, negative_prompt=away)
    assert torch.equal(pipes(name).again(result.settings[0]).tokens, result.tokens)
    assert not torch.equal(drawn(pipes, name, seed=5, guidance=2.5).tokens, result.tokens)


@pytest.mark.parametrize("name", [name for name in GUIDED if name != "t2i"])
def test_settings_hold_token_ids(pipes, name):
    own = pipes(name).model
    ids, away = (own.prompt_ids(text, own.grid(SIZE.get(name))) for text in (PROMPT.get(name, "a cat"), "1"))
    result = pipes(name)(ids, size=SIZE.get(name), seed=5, negative_prompt=away)
    settings = json.loads(json.dumps(result.settings[0]))
    assert torch.equal(pipes(name).again(settings).tokens, result.tokens)
    assert torch.equal(
        pipes(name)(settings["prompt"], size=SIZE.get(name), seed=5, negative_prompt=away).tokens, result.tokens
    )
    (_, streamed), (_, twice) = pipes(name).stream(
        [settings["prompt"]] * 2, size=SIZE.get(name), seed=[5, 5], negative_prompt=away
    )
    assert torch.equal(streamed.tokens, twice.tokens)
    assert torch.equal(streamed.tokens, result.tokens)


def test_features_are_not_in_the_settings_which_say_so(pipes):
    pipe = pipes("t2i")
    features = pipe.model.encoder("a red fox").detach()
    result = pipe(features, size=(8, 8), seed=1)
    for draw in (pipe.again, lambda settings: pipe(settings["prompt"], size=(8, 8))):
        with pytest.raises(
            ValueError, match=r"do not hold its features: give those themselves, got 'features \[4, 16\]"
        ):
            draw(result.settings[0])
    assert torch.equal(pipe.again(result.settings[0], prompt=features).tokens, result.tokens)


def test_settings_with_auto_draw_the_image_of_jacobi_ngram(pipeline):
    result = pipeline("two red stars", seed=3)
    then = {"decoder": "auto(window=64, decoder=jacobi_ngram)", "again": "auto(windows=(15, 3))"}
    with pytest.warns(UserWarning, match="'auto' is read as 'jacobi_ngram'") as said:
        assert torch.equal(pipeline.again(result.settings[0] | then).tokens, result.tokens)
    assert len(said) == 1
    with pytest.raises(ValueError, match=r"fewpass 0\.1\.0 is the last release that draws it"):
        pipeline.again(result.settings[0] | {"decoder": "auto(window=64, decoder=sjd)"})


def test_a_line_of_a_batch_draws_its_image_again(pipeline, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"id": "a", "prompt": "two red stars", "guidance": 2}, {"id": "b", "prompt": "two", "size": 8, "top_k": 9}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert (
        main(["batch", "p.jsonl", "-o", "out", "--model", str(folder), "--dtype", "float64", "--decoder", "sjd"]) == 0
    )
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    for line in lines:
        again = pipeline.again(line)
        with Image.open(f"out/{line['image']}") as image:
            assert np.array_equal(again.images[0], image)
        assert torch.equal(pipeline.again(f"out/{line['image']}").tokens, again.tokens)


def test_options_take_the_place_of_settings(pipeline):
    settings = pipeline("two red stars", seed=3, decoder="sjd").settings[0]
    expected = pipeline("two red stars", seed=4, decoder="sjd")
    assert torch.equal(pipeline.again(settings, seed=4).tokens, expected.tokens)


def test_names_of_diffusers_take_the_place_of_settings(pipeline):
    settings = pipeline("two", seed=3, guidance=3).settings[0]
    again = pipeline.again(settings, guidance_scale=2, generator=torch.Generator().manual_seed(1)).settings[0]
    assert (again["guidance"], again["seed"] == 3) == (2, False)
    with pytest.raises(ValueError, match="guidance is given twice"):
        pipeline.again(settings, guidance_scale=2, guidance=1)


@pytest.mark.parametrize("image", [3, None, b"a.png"])
def test_other_things_than_images_are_refused(pipeline, image):
    with pytest.raises(ValueError, match="by its settings or the path of its file, got"):
        pipeline.again(image)


def test_a_model_may_be_named_by_another_path(pipeline, folder, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    settings = pipeline("two", seed=3).settings[0]
    for name in (str(tmp_path / "link"), folder.name, os.path.join(folder, ".")):
        assert torch.equal(pipeline.again(settings | {"model": name}).tokens, pipeline("two", seed=3).tokens)


WRONG = {
    "another model": ({"model": "emoji"}, r"drawn with the model 'emoji', got '.*tiny'$"),
    "another dtype": ({"dtype": "bfloat16"}, "drawn in 'bfloat16', got float64: load the model with that dtype$"),
    "no seed": ({"seed": ...}, "not the settings of an image: there is no 'seed'$"),
    "no size": ({"size": ...}, "there is no 'size'$"),
    "many seeds": ({"seed": [1, 2]}, r"a seed must be a whole number, got \[1, 2\]$"),
    "a seed to be drawn": ({"seed": None}, "a seed must be a whole number, got None$"),
    "many prompts": ({"prompt": ["two", "one"]}, "a token id must be a whole number >= 0, got 'two'$"),
    "unknown decoder": ({"decoder": "fast"}, "unknown decoder 'fast'"),
    "text of a temperature": ({"temperature": "warm"}, "temperature must be a number >= 0, got 'warm'$"),
    "size of three": ({"size": [8, 8, 3]}, r"size must be .*got \[8, 8, 3\]$"),
    "words": (
        {"prompt": {"text": "two"}},
        r"a prompt must be a text, the number of a class or a tensor, got \{'text': 'two'\}$",
    ),
    "half a letter": ({"prompt": "two \ud83d"}, r"a prompt must be text in Unicode, got 'two \\ud83d'$"),
}


@pytest.mark.parametrize("case", WRONG)
def test_settings_that_draw_no_image_are_refused_by_name(pipeline, case, tmp_path):
    changed, message = WRONG[case]
    settings = pipeline("two", seed=3, decoder="sjd").settings[0] | changed
    settings = {name: value for name, value in settings.items() if value is not ...}
    (tmp_path / "a.png").write_bytes(png(Image.new("RGB", (8, 8)), settings))
    for given in (settings, tmp_path / "a.png"):
        with pytest.raises(ValueError, match=message) as error:
            pipeline.again(given)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("chunk", ["[]", "7", "[1, 2]", "{", "[" * 10**5, None])
def test_images_without_settings_are_named(pipeline, tmp_path, chunk):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if chunk is not None:
        info.add_text("fewpass", chunk)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(ValueError, match=r"a\.png' is not an image drawn by fewpass$|there is no 'model'$"):
        pipeline.again(tmp_path / "a.png")


def test_files_that_are_no_images_are_named(pipeline, tmp_path):
    bomb = bytearray(png(Image.new("RGB", (8, 8)), {}))
    bomb[16:24] = (60000).to_bytes(4, "big") * 2
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(ValueError, match=r"there is no file '.*absent\.png'"):
        pipeline.again(tmp_path / "absent.png")
    for other in (tmp_path, tmp_path / "bomb.png"):
        with pytest.raises(ValueError, match="is not an image drawn by fewpass"):
            pipeline.again(other)


# Files.


def test_saved_files_hold_picture_settings_and_trace(pipeline, tmp_path):
    result = pipeline(["two red stars", "one"], seed=3, decoder="sjd")
    files = result.save(tmp_path / "drawn")
    assert [str(file.relative_to(tmp_path)) for file in files] == ["drawn/00-two-red-stars-3.png", "drawn/01-one-4.png"]
    for i, file in enumerate(files):
        kept = read_settings(file)
        assert result.settings[i].items() <= kept.items()
        assert kept["trace"]["passes"] == int(result.trace.passes[i])
        with Image.open(file) as image:
            assert np.array_equal(image, result.images[i])
    assert pipeline("one", seed=4).save(str(tmp_path / "one.png")) == [tmp_path / "one.png"]


def test_saving_overwrites_only_when_told(pipeline, tmp_path):
    result = pipeline(["two red stars", "one"], seed=3)
    result.save(tmp_path)[0].unlink()
    with pytest.raises(ValueError, match=r"01-one-4\.png' is there already: overwrite=True replaces it"):
        result.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["01-one-4.png"]
    (tmp_path / "01-one-4.png").write_bytes(b"old")
    result.save(tmp_path, overwrite=True)
    assert read_settings(tmp_path / "01-one-4.png")["seed"] == 4
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a.png", "2 images need a folder"),
        ("absent/drawn", "no such folder"),
        ("", "must be a file or a folder"),
        ("a\0", "must be a file or a folder"),
    ],
)
def test_places_that_cannot_hold_the_images_are_named(pipeline, tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        pipeline(["two", "one"], seed=3).save(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("prompt", ["two red stars 星 é", "a\tb ' \" \\ </script>"])
def test_texts_of_any_alphabet_come_back(pipeline, tmp_path, monkeypatch, prompt):
    monkeypatch.setattr(fewpass.models.janus, "check_known", lambda *_: None)
    result = pipeline(prompt, seed=3, negative_prompt=prompt[::-1])
    (file,) = result.save(tmp_path)
    assert (read_settings(file)["prompt"], read_settings(file)["negative_prompt"]) == (prompt, prompt[::-1])
    assert torch.equal(pipeline.again(file).tokens, result.tokens)


# The command line.


@pytest.fixture
def generate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(["generate", *arguments])
        return code, capsys.readouterr().err

    return run


def test_generate_draws_a_file_again(generate, folder):
    options = ["--model", str(folder), "--dtype", "bfloat16", "--decoder", "sjd(window=4)", "--guidance", "2"]
    assert generate("two red stars", "-o", "a.png", *options) == (0, "")
    assert generate("--from", "a.png", "-o", "b.png", "--steps", "b.gif") == (0, "")
    before, after = read_settings("a.png"), read_settings("b.png")
    with Image.open("a.png") as a, Image.open("b.png") as b:
        assert np.array_equal(a, b)
    assert after["trace"]["committed"] == before["trace"]["committed"]
    assert after["decoder"] == before["decoder"]
    assert {
        name: before[name] for name in ("prompt", "seed", "dtype", "guidance", "model", "size")
    }.items() <= after.items()


def test_generate_draws_again_with_a_model_that_has_moved(generate, folder, tmp_path):
    assert generate("two", "-o", "a.png", "--model", str(folder)) == (0, "")
    kept = read_settings("a.png")
    (tmp_path / "a.png").write_bytes(png(Image.new("RGB", (8, 8)), kept | {"model": "/moved/away"}))
    code, said = generate("--from", "a.png", "-o", "b.png")
    assert code == 2
    assert "/moved/away" in said
    assert generate("--from", "a.png", "-o", "b.png", "--model", str(folder)) == (0, "")
    assert read_settings("b.png")["trace"]["committed"] == kept["trace"]["committed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["two"], "prompt has no effect with --from: 'a.png' is drawn with its own settings"),
        (["--seed", "3"], "seed has no effect with --from"),
        (["--count", "2"], "count has no effect with --from"),
        (["--guidance", "0"], "guidance has no effect with --from"),
        (["--prompts", "p.txt"], "prompts has no effect with --from"),
        (["--dtype", "bfloat16"], "drawn in 'float32', got bfloat16"),
        (["--from", "absent.png"], "there is no file 'absent.png'"),
        (["--from", "sheet.png"], "'sheet.png' does not hold the settings of one image"),
    ],
)
def test_generate_from_a_file_takes_no_other_settings(generate, folder, tmp_path, arguments, message):
    assert generate("two", "-o", "a.png", "--model", str(folder)) == (0, "")
    (tmp_path / "sheet.png").write_bytes(png(Image.new("RGB", (8, 8)), {"compared": []}))
    code, said = generate("--from", "a.png", "-o", "b.png", *arguments)
    assert (code, said.count("\n")) == (2, 1)
    assert message in said
    assert not (tmp_path / "b.png").exists()


# Classes.


def test_numbers_of_classes_are_prompts(pipes):
    pipe, same = pipes("c2i"), {"size": 8, "seed": 5}
    expected = pipe(["3", "4"], **same)
    for given in ([3, 4], (3, 4), [torch.tensor([3]), torch.tensor([4])], np.array([3, 4])):
        assert torch.equal(pipe(given, **same).tokens, expected.tokens)
    assert torch.equal(pipe(3, **same).tokens, expected.tokens[:1])
    assert torch.equal(next(pipe.stream([3], **same))[1].tokens, expected.tokens[:1])
    assert torch.equal(pipe.again(pipe(3, **same).settings[0]).tokens, expected.tokens[:1])
    for wrong in (5, -1, True, 10**5000, 1.5):
        with pytest.raises(ValueError, match=r"^.{10,200}$"):
            pipe(wrong, **same)
