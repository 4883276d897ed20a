"""Checkpoints that are damaged: one line, and never a model with random numbers in it."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import fewpass
from tests import tiny

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
