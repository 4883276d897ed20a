"""`fewpass bench`"""

import json

import pytest

from fewpass import decoder
from fewpass.cli import main
from tests import families

TINY = ["--prompts", "1", "--windows", "0 2", "--batch-sizes", "1 2", "--repetitions", "1", "--passes", "4"]
DRAFTING = "mc_sjd(window=4); jacobi_ngram(window=4)"
LLAMA = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2}
LLAMAGEN = LLAMA | {"model_type": "llamagen", "intermediate_size": 32, "vocab_size": 24, "side": 4}
LLAMAGEN["vq"] = {"num_embeddings": 24, "channel_multiplier": [1, 1], "base_channels": 32, "latent_channels": 32}


def of_janus(folder):
    return json.loads((families.write_janus(folder) / "config.json").read_text())


def of_llamagen(folder):
    return LLAMAGEN | {"labels": 5}


def of_llamagen_captions(folder):
    return LLAMAGEN | {"caption_tokens": 40, "caption_dim": 8}


def without_vocabulary(write):
    """As a published shape has it."""

    def config(folder):
        found = json.loads((write(folder) / "config.json").read_text())
        return {key: value for key, value in found.items() if key not in ("vocabulary_map", "image_token_id")}

    return config


def chameleon_words(config):
    return config | {"vocab_size": 200}


SHAPES = {  # what config.json says, the size that is asked for, and how many tokens that is
    "janus": (of_janus, [], 16),
    "emu3": (without_vocabulary(families.write_emu3), ["--size", "32x32"], 20),
    "anole": (lambda folder: chameleon_words(without_vocabulary(families.write_chameleon)(folder)), [], 16),
    "lumina": (
        lambda folder: chameleon_words(without_vocabulary(families.write_lumina)(folder)),
        ["--size", "64x64"],
        20,
    ),
    "glm": (
        lambda folder: json.loads((families.write_glm_image(folder) / "config.json").read_text()),
        ["--size", "64x64", "--batch-sizes", "", "--windows", "", "--decoders", "mc_sjd(window=4)"],
        4 + 256,
    ),
    "llamagen": (of_llamagen, [], 16),
    "llamagen with captions": (of_llamagen_captions, [], 16),
}


@pytest.mark.parametrize("family", SHAPES)
def test_bench_measures_random_weights_of_every_family(family, tmp_path, capsys, monkeypatch):
    config, size, tokens = SHAPES[family]
    shape, folder = tmp_path / "shape.json", tmp_path / "out"
    shape.write_text(json.dumps(config(tmp_path / "made")))
    capsys.readouterr()
    arguments = ["bench", "--random", str(shape), "--decoders", DRAFTING, "-o", str(folder), *TINY, *size]
    assert main(arguments) == 0, capsys.readouterr().err
    said, found = capsys.readouterr(), json.loads((folder / "bench.json").read_text())
    assert "The weights are random" in found["notes"][0]
    assert found["notes"][0] in said.err
    assert (found["settings"]["tokens"], found["settings"]["random_weights"]) == (tokens, True)
    rows = {row["decoder"]: row for row in found["decoders"]}
    assert rows["ar"]["passes"] == tokens
    asked = "mc_sjd(window=4)" if family == "glm" else DRAFTING
    spelled = [str(decoder(name)) for name in asked.split(";")]
    assert list(rows) == ["ar", *spelled]
    assert all((row["detokenise_seconds"] is None) == (family == "glm") for row in rows.values())
    if family != "glm":
        together = {(name, batch) for name in ("ar", *spelled) for batch in (1, 2)}
        assert {(row["decoder"], row["batch"]) for row in found["batches"]} == together
        assert 0 < found["windows"][0]["outside_the_model"] < 1
    assert sorted(path.name for path in folder.iterdir()) == ["bench.json"]


def test_bench_measures_the_prompts_of_a_file(folder, tmp_path, capsys, monkeypatch):
    prompts, out = tmp_path / "prompts.csv", tmp_path / "out"
    prompts.write_text("id,prompt\n1,two stars\n2,red\n")
    arguments = ["--decoders", "mc_sjd(window=4); zipar(window=2)", "--batch-sizes", "3", "--windows", "0,2"]
    arguments += ["--prompts", str(prompts), "--repetitions", "1", "-o", str(out), "--dtype", "float64"]
    assert main(["bench", "--model", str(folder), *arguments]) == 0
    said, found = capsys.readouterr(), json.loads((out / "bench.json").read_text())
    names = ["ar", *(str(decoder(name)) for name in ("mc_sjd(window=4)", "zipar(window=2)"))]
    table = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in table[:3]] == [row["decoder"] for row in found["decoders"]] == names
    assert [float(row[1]) for row in table[:3]] == [row["passes"] for row in found["decoders"]]
    assert [row[:2] for row in table[3:5]] == [["ar", "0"], [names[1], "2"]]
    assert [row[:2] for row in table[5:]] == [[name, "3"] for name in names]
    assert all(len(row["drawings"]) == 2 for row in found["decoders"])
    assert found["notes"] == []
    assert [(row["decoder"], row["window"]) for row in found["windows"]] == [("ar", 0), (names[1], 2)]
    assert (found["settings"]["prompts"], found["settings"]["dtype"]) == (["two stars", "red"], "float64")
    assert found["versions"]["fewpass"]
    assert str(out / "bench.json") in said.err


def test_bench_measures_the_bundled_model(tmp_path):
    arguments = ["--prompts", "1", "--windows", "0", "--batch-sizes", "", "--repetitions", "1", "--passes", "2"]
    assert main(["bench", "--decoders", "ar", *arguments, "-o", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["decoders"][0]["passes"] == 256
    assert found["notes"] == []


EARLY = [  # seen before any model is loaded
    (["--random", "absent"], "there is no config.json in 'absent'"),
    (["--random", "x", "--model", "emoji"], "not both"),
    (["--random", "x", "--prompts", "sjd.json"], "reads no texts"),
    (["--prompts", "0"], "'0'"),
    (["--prompts", "absent.txt"], "absent.txt"),
    (["--windows", "-1"], "'-1'"),
    (["--windows", "many"], "'many'"),
    (["--windows", "9" * 5000], "windows must be whole numbers >= 0, got '999"),
    (["--prompts", "9" * 5000], "prompts must be a number from 1 to 1000000 or a file, got '999"),
    (["--batch-sizes", "0 1"], "'0 1'"),
    (["--repetitions", "0"], "'0'"),
    (["--passes", "few"], "'few'"),
    (["--threads", "0"], "'0'"),
    (["--decoders", "sdj"], "'sdj'"),
    (["--decoders", ";"], "there is no decoder"),
    (["--temperature", "-1"], "-1"),
    (["--size", "large"], "'large'"),
    (["--device", "tpu"], "'tpu'"),
    (["-o", ""], "''"),
    (["-o", "sjd.json"], "not a folder"),
]


@pytest.mark.parametrize(("arguments", "why"), EARLY, ids=lambda value: " ".join(value) if type(value) is list else "")
def test_invalid_input_prints_one_line(arguments, why, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sjd.json").write_text(json.dumps({"decoder": "sjd", "trace": {"committed": [1, 2]}}))
    assert main(["bench", *arguments]) == 2
    said = capsys.readouterr()
    assert why in said.err
    assert said.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sjd.json"]


def test_window_wider_than_the_image_is_refused(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--random", str(folder), "--windows", "15"]) == 2
    assert "window 15 is too wide for an image of 16 tokens" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_more_prompts_than_the_model_has_are_refused(tmp_path, capsys):
    assert main(["bench", "--prompts", "501", *TINY[2:], "-o", str(tmp_path / "x")]) == 2
    assert "there are 500 prompts, got 501" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_ctrl_c_writes_no_files(folder, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("fewpass.bench.run.draw", interrupted)
    out = tmp_path / "out"
    arguments = ["--random", str(folder), "--decoders", "ar", *TINY, "-o", str(out)]
    assert main(["bench", *arguments]) == 130
    assert not out.exists()
