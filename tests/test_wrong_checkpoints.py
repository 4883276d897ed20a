"""Checkpoints that are not what they seem: a line says what they are and what to do; what can be read is read."""

import json
import os
import shutil

import pytest
import torch
from transformers import JanusConfig

import fewpass
from fewpass.cli import main
from fewpass.io.prompt_files import read_rows
from fewpass.io.targets import Target
from tests import tiny
from tests.families import write_anole, write_chameleon, write_emu3, write_glm_image, write_janus
from tests.llamagen import write_c2i, write_t2i

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 14967\n"
SIZE = (8, 8)


@pytest.fixture
def janus(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "janus")


def refused(folder, said):
    with pytest.raises(ValueError, match=said) as caught:
        fewpass.load(folder, "cpu")
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"])
def test_git_lfs_pointer_for_a_json_file_is_named(name, janus):
    (janus / name).write_bytes(POINTER)
    refused(janus, f"{name} is a pointer of Git LFS.*`git lfs pull`")


def test_git_lfs_pointer_for_weights_is_named(janus):
    shard = tiny.shards(janus)[0]
    shard.write_bytes(POINTER)
    refused(janus, f"{shard.name} is a pointer of Git LFS")


@pytest.mark.parametrize("name", ["c2i_B.pt", "vq_ds16_c2i.pt"])
def test_git_lfs_pointer_for_a_torch_file_is_named(name, tmp_path):
    folder = write_c2i(tmp_path / "c2i")
    (folder / name).write_bytes(POINTER)
    refused(folder, f"{name} is a pointer of Git LFS")


def test_git_lfs_pointer_for_bin_weights_or_a_decoder_is_named(tmp_path):
    folder = write_janus(tmp_path / "janus")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(POINTER)
    refused(folder, r"pytorch_model\.bin is a pointer of Git LFS")
    anole = write_anole(tmp_path / "anole")
    (anole / "model.safetensors").write_bytes(POINTER)
    refused(anole, r"model\.safetensors is a pointer of Git LFS")


def test_git_lfs_pointer_that_is_not_needed_is_no_fault(janus):
    (janus / "pytorch_model.bin").write_bytes(POINTER)
    (janus / "tokenizer.model").write_bytes(POINTER)
    assert fewpass.load(janus, "cpu")("red stars", seed=0).tokens.shape == (1, 16)


def test_folder_with_only_an_adapter_names_its_base_model(janus, tmp_path):
    adapter = tmp_path / "lora"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    refused(adapter, r"holds only an adapter: load org/base .* with peft, then use fewpass\.wrap")
    (adapter / "adapter_config.json").write_text("{}")
    refused(adapter, "load its base model with transformers")


@pytest.mark.parametrize(
    ("family", "twin"), [("multi_modality", "deepseek-community/Janus-Pro-1B"), ("Emu3", "Emu3-community/Emu3-Gen-hf")]
)
def test_model_type_of_the_authors_own_format_names_the_substitute(family, twin, janus, capsys):
    config = json.loads((janus / "config.json").read_text())
    (janus / "config.json").write_text(json.dumps(config | {"model_type": family, "auto_map": {"AutoModel": "m.M"}}))
    refused(janus, rf"\('{family}'\) is not supported: its format .*load {twin}")
    assert main(["bench", "--random", str(janus)]) == 2
    assert twin in capsys.readouterr().err


@pytest.mark.parametrize("asked", ["flash_attention_2", "flex_attention", "eager", "kernels-community/flash-attn"])
@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation"])
@pytest.mark.parametrize("write", [write_janus, write_emu3, write_anole, write_glm_image])
def test_attention_implementation_in_config_json_is_overridden(write, key, asked, tmp_path):
    folder = write(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    inner = {"text_config": config["text_config"] | {key: asked}} if "text_config" in config else {}
    (folder / "config.json").write_text(json.dumps(config | inner | {key: asked}))
    model = fewpass.load(folder, "cpu").model
    assert model.network.body is not None
    assert model.model.config._attn_implementation == "sdpa"
    assert getattr(model.model.config, "text_config", model.model.config)._attn_implementation == "sdpa"


def test_attention_implementation_of_the_text_encoder_is_overridden(tmp_path):
    folder = write_t2i(tmp_path / "t2i")
    config = json.loads((folder / "t5" / "config.json").read_text())
    (folder / "t5" / "config.json").write_text(json.dumps(config | {"_attn_implementation": "flash_attention_2"}))
    assert fewpass.load(folder, "cpu")("a red fox", size=SIZE, seed=0).tokens.shape == (1, 16)


def test_trainer_prefixes_and_pth_files_of_llamagen_are_read(tmp_path):
    folder = write_c2i(tmp_path / "c2i")
    expected = fewpass.load(folder, "cpu")("3", size=SIZE, seed=0).tokens
    for prefix in ("_orig_mod.", "module.", "module._orig_mod."):
        wrapped = tmp_path / prefix
        wrapped.mkdir()
        for path in folder.glob("*.pt"):
            weights = torch.load(path)["model"]
            named = {f"{prefix}{name}": weight for name, weight in weights.items()}
            torch.save({"model": named}, wrapped / f"{path.stem}.pth")
        assert torch.equal(fewpass.load(wrapped, "cpu")("3", size=SIZE, seed=0).tokens, expected)
        assert torch.equal(fewpass.load(wrapped / "c2i_B.pth", "cpu")("3", size=SIZE, seed=0).tokens, expected)


@pytest.mark.parametrize("name", ["/dev/zero", "../outside.safetensors", "sub/../../outside.safetensors", "", 3, None])
@pytest.mark.parametrize("index", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
def test_weight_map_that_leads_out_of_the_folder_is_refused(name, index, janus):
    shutil.copy(tiny.shards(janus)[0], janus.parent / "outside.safetensors")
    content = json.loads((janus / "model.safetensors.index.json").read_text())
    content["weight_map"][next(iter(content["weight_map"]))] = name
    (janus / "model.safetensors.index.json").unlink()
    (janus / index).write_text(json.dumps(content))
    refused(janus, "is not a file in it|cannot read the model in")


@pytest.mark.parametrize("index", ["model.safetensors.index.json", "model.safetensors"])
def test_weights_that_are_no_regular_file_are_refused(index, janus):
    if index == "model.safetensors":
        os.mkfifo(janus / index)
    else:
        shard = tiny.shards(janus)[0]
        shard.unlink()
        shard.symlink_to("/dev/zero")
    refused(janus, "is not a file in it")


def test_checkpoint_named_by_transformers_weights_stays_in_the_folder(janus):
    config = json.loads((janus / "config.json").read_text())
    (janus / "config.json").write_text(json.dumps(config | {"transformers_weights": "../outside.safetensors"}))
    refused(janus, r"none of \.\./outside\.safetensors")
    shutil.copy(tiny.shards(janus)[0], janus.parent / "outside.safetensors")
    refused(janus, "is not a file in it")


def test_token_ids_outside_the_vocabulary_are_refused(pipeline):
    for wrong in (-1, 10**6):
        with pytest.raises(ValueError, match=f"^token ids must be from 0 to 12 for .*, got {wrong}$"):
            pipeline(torch.tensor([1, wrong]))


def test_home_folder_is_expanded_wherever_a_path_is_typed(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "prompts.txt").write_text("red stars\n")
    assert fewpass.load("~/model", "cpu").model.name == "~/model"
    assert read_rows("~/prompts.txt")[0].prompt == "red stars"
    assert Target.of("~/out.png", 1).path == tmp_path / "out.png"
    drawn = ["generate", "--prompts", "~/prompts.txt", "--model", "~/model", "-o", "~/out.png", "--steps", "~/s.gif"]
    assert main([*drawn, "--device", "cpu"]) == 0
    assert main(["check", "~/model", "--device", "cpu"]) == 0
    assert main(["batch", "~/prompts.txt", "--model", "~/model", "-o", "~/batch", "--device", "cpu"]) == 0
    capsys.readouterr()
    assert {path.name for path in tmp_path.iterdir()} == {"model", "prompts.txt", "out.png", "s.gif", "batch"}


@pytest.mark.parametrize("name", ["a" * 5000, "a/" * 3000, "zero\0byte"])
def test_name_that_is_no_path_is_refused_in_a_short_line(name):
    with pytest.raises(ValueError, match=r"^unknown model") as caught:
        fewpass.load(name, "cpu")
    assert len(str(caught.value)) < 500


def test_meta_chameleon_without_a_decoder_still_names_anole(tmp_path):
    refused(write_chameleon(tmp_path / "meta"), "Meta's Chameleon does not draw")


def test_shape_of_a_wrong_type_is_one_line(tmp_path, capsys):
    path = tmp_path / "shape.json"
    path.write_text(json.dumps({**JanusConfig().to_dict(), "model_type": "emu3", "vocabulary_map": [1]}, default=str))
    assert main(["bench", "--random", str(path)]) == 2
    error = capsys.readouterr().err
    assert "Validation error for field 'vocabulary_map'" in error
    assert error.count("\n") == 1
