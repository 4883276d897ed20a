"""Checkpoints that are damaged: one line, and never a model with random numbers in it."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import fewpass
from tests import families, tiny
from tests.llamagen import write_t2i


class Evil:
    """Code that a pickle runs when it is read: it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


WEIGHT = "model.generation_head.proj_out.weight"


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def refused(folder, what):
    with pytest.raises(ValueError, match=what) as error:
        fewpass.load(folder, "cpu")
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def edited(folder, change):
    for shard in tiny.shards(folder):
        tensors = load_file(shard)
        if WEIGHT in tensors:
            change(tensors)
            save_file(tensors, shard, {"format": "pt"})
            return
    raise AssertionError(f"no {WEIGHT}")


def test_truncated_shard(copy):
    shard = tiny.shards(copy)[0]
    shard.write_bytes(shard.read_bytes()[:-1000])
    refused(copy, "cannot read the model")


def test_garbage_for_a_shard(copy):
    tiny.shards(copy)[0].write_bytes(b"\x07" * 5000)
    refused(copy, "cannot read the model")


def test_shard_that_is_not_there(copy):
    tiny.shards(copy)[0].unlink()
    refused(copy, "cannot read the model")


def test_missing_weight(copy):
    edited(copy, lambda tensors: tensors.pop(WEIGHT))
    refused(copy, f"missing.*: {WEIGHT}")


def test_weight_of_another_shape(copy):
    edited(copy, lambda tensors: tensors.update({WEIGHT: torch.zeros(3, 4)}))
    refused(copy, WEIGHT)


@pytest.mark.parametrize(
    "write",
    [
        *(families.write_anole, families.write_lumina, families.write_janus, families.write_emu3),
        *(families.write_glm_pipeline, write_t2i),
    ],
)
def test_weights_that_are_pickled(write, tmp_path):
    """`.bin` files give the same model as safetensors, with the parts that transformers has no place for."""
    as_safetensors = fewpass.load(write(tmp_path / "model"), "cpu").model
    as_pickles = fewpass.load(families.pickled(tmp_path / "model"), "cpu").model
    assert not list((tmp_path / "model").rglob("*.safetensors"))
    parts = [[own.model, getattr(own, "vqgan", None)] for own in (as_safetensors, as_pickles)]
    if write is write_t2i:
        parts = [[own.encoder.model] for own in (as_safetensors, as_pickles)]
    for one, other in zip(*parts, strict=True):
        expected, found = ({} if part is None else part.state_dict() for part in (one, other))
        assert expected.keys() == found.keys()
        used = [name for name in expected if not (write is families.write_lumina and ".vqmodel." in name)]
        assert all(torch.equal(expected[name], found[name]) for name in used)


@pytest.mark.parametrize("inside", ["", "vqgan"])
def test_pickled_code_is_not_run(inside, tmp_path):
    folder = families.pickled(families.write_lumina(tmp_path / "model"))
    shard = folder / inside / "pytorch_model-00001-of-00002.bin"
    torch.save({**torch.load(shard), "evil": Evil(tmp_path / "ran")}, shard)
    with pytest.raises(
        ValueError, match=r"cannot read the model in|holds pickled code, .*, which fewpass does not run"
    ):
        fewpass.load(folder, "cpu")
    assert not (tmp_path / "ran").exists()


def test_damaged_index(copy):
    (copy / "model.safetensors.index.json").write_text('{"weight_map"')
    refused(copy, r"cannot read .*model\.safetensors\.index\.json")


def test_damaged_configuration(copy):
    (copy / "config.json").write_text("{")
    refused(copy, "config")


def test_unknown_family(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    refused(copy, "unknown model family 'bert'; known are .*janus")


@pytest.mark.parametrize("name", ["emojis", "no/such folder/here", ""])
def test_unknown_model(name):
    with pytest.raises(ValueError, match=f"unknown model '{name}'.*emoji"):
        fewpass.load(name, "cpu")
