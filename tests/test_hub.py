"""Repositories of the hub that were downloaded before, as huggingface_hub keeps them, without a network."""

import shutil

import pytest
import torch
from huggingface_hub import errors
from transformers import ChameleonForConditionalGeneration, Emu3ForConditionalGeneration

import fewpass
import fewpass.models.hub
from tests.families import rewrite, write_anole, write_emu3, write_janus
from tests.hub import cached
from tests.llamagen import write_c2i

SIZE = (32, 24)
UNNEEDED = ("LICENSE.txt", "onnx/config.json", "original/model.safetensors")  # match what fewpass downloads


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_emu3(tmp_path_factory.mktemp("emu3"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("local_files_only", [False, True])
def test_cached_repository_loads_where_transformers_loads_it(tree, local_files_only, folder, cache):
    cached(cache, "org/m", folder, absent=UNNEEDED, tree=tree)
    Emu3ForConditionalGeneration.from_pretrained("org/m", cache_dir=cache, local_files_only=True)
    pipe = fewpass.load("org/m", "cpu", local_files_only=local_files_only)
    expected = fewpass.load(folder, "cpu")("dog", size=SIZE, seed=0)
    assert torch.equal(pipe("dog", size=SIZE, seed=0).tokens, expected.tokens)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("config.json", r"cannot read .*config\.json: No such file"),
        ("tokenizer.json", "there is no tokenizer in"),
        (
            "model.safetensors",
            r"there are no weights in .*pickles .* not fetched: hf download org/m --local-dir",
        ),
    ],
)
@pytest.mark.parametrize("tree", [False, True])
def test_incomplete_snapshot_names_missing_files(missing, said, tree, folder, cache, tmp_path):
    part = shutil.copytree(folder, tmp_path / "part", ignore=shutil.ignore_patterns(missing))
    cached(cache, "org/m", part, absent=[missing], tree=tree)
    with pytest.raises(ValueError, match=said) as caught:
        fewpass.load("org/m", "cpu")
    assert "\n" not in str(caught.value)


def test_absent_torch_file_of_a_repository_is_named(cache, tmp_path):
    written = write_c2i(tmp_path / "c2i", name="c2i_B_256.pt")
    (written / "vq_ds16_c2i.pt").rename(tmp_path / "vq_ds16_c2i.pt")
    cached(cache, "org/llamagen", written, absent=["c2i_L_256.pt"], tree=True)
    with pytest.raises(ValueError, match=r"^org/llamagen has no file c2i_L_256\.pt, or it was not downloaded$"):
        fewpass.load("org/llamagen/c2i_L_256.pt", "cpu")
    with pytest.raises(ValueError, match="there is no image tokenizer among"):
        fewpass.load("org/llamagen/c2i_B_256.pt", "cpu")


@pytest.mark.parametrize("tree", [False, True])
def test_wrapped_chameleon_finds_the_decoder_of_its_own_revision(tree, cache, tmp_path):
    old, new = (write_anole(tmp_path / name) for name in ("old", "new"))
    rewrite(new, lambda weights: {n: w * (0.5 if "decoder.conv_out" in n else 1) for n, w in weights.items()})
    commits = {"v1": "1" * 40, "main": "2" * 40}
    cached(cache, "org/anole", old, commit=commits["v1"], ref="v1", absent=UNNEEDED, tree=tree)
    ids = torch.tensor([1, 9, 8])
    only = ChameleonForConditionalGeneration.from_pretrained("org/anole", cache_dir=cache, revision="v1")
    assert fewpass.wrap(only)(ids, seed=0).images[0].size == (64, 64)
    cached(cache, "org/anole", new, commit=commits["main"], absent=UNNEEDED, tree=tree)
    ids, images = torch.tensor([1, 9, 8]), {}
    for revision, home in (("v1", old), ("main", new)):
        model = ChameleonForConditionalGeneration.from_pretrained("org/anole", cache_dir=cache, revision=revision)
        model.config._commit_hash = commits[revision]  # as transformers does up to 5.23
        images[revision] = fewpass.wrap(model)(ids, seed=0).images[0].tobytes()
        assert images[revision] == fewpass.load(home, "cpu")(ids, seed=0).images[0].tobytes()
    assert images["v1"] != images["main"]


def test_index_of_links_into_the_cache_loads(cache, tmp_path):
    whole = write_janus(tmp_path / "janus")
    model = fewpass.load(whole, "cpu").model.model
    model.save_pretrained(whole, max_shard_size="100KB")
    (whole / "model.safetensors").unlink(missing_ok=True)
    snapshot = cached(cache, "org/janus", whole)
    assert len(list(snapshot.glob("model-*.safetensors"))) > 1
    assert fewpass.load("org/janus", "cpu")("a cat", seed=0).tokens.shape == (1, 16)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("deepseek-ai/Janus-Pro-7B", "load deepseek-community/Janus-Pro-7B$"),
        ("deepseek-ai/Janus-Pro-1B", "load deepseek-community/Janus-Pro-1B$"),
        ("deepseek-ai/Janus-1.3B", "load deepseek-community/Janus-Pro-1B or"),
        ("deepseek-ai/JanusFlow-1.3B", "rectified flow.*load deepseek-community/Janus-Pro-1B$"),
        ("BAAI/Emu3-Gen", "load Emu3-community/Emu3-Gen-hf$"),
        ("BAAI/Emu3-Stage1", "load Emu3-community/Emu3-Gen-hf$"),
        ("facebook/chameleon-7b", "Meta's Chameleon does not draw; load leloy/Anole-7b-v0.1-hf$"),
        ("GAIR/Anole-7b-v0.1", "load leloy/Anole-7b-v0.1-hf$"),
        ("Alpha-VLLM/Lumina-mGPT-7B-512", "run `hf download .* and load Lumina-mGPT-7B-512$"),
    ],
)
def test_repository_with_a_substitute_names_it_before_a_download(name, said, monkeypatch):
    monkeypatch.setattr(fewpass.models.hub, "snapshot_download", lambda *a, **o: pytest.fail("the hub was asked"))
    with pytest.raises(ValueError, match=f"^{name} is not supported: .*{said}"):
        fewpass.load(name, "cpu")


def test_adapter_in_a_repository_is_named(cache, tmp_path):
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    (tmp_path / "lora" / "adapter_model.safetensors").write_bytes(b"")
    cached(cache, "org/lora", tmp_path / "lora")
    with pytest.raises(ValueError, match=r"holds only an adapter: load org/base .*peft.*fewpass\.wrap"):
        fewpass.load("org/lora", "cpu")


def test_hub_that_raises_for_an_unknown_repository_is_one_line(monkeypatch):
    def refuse(*arguments, **options):
        raise errors.LocalEntryNotFoundError("no\nentry")

    monkeypatch.setattr(fewpass.models.hub, "snapshot_download", refuse)
    with pytest.raises(ValueError, match=r"^'some/one' is no folder, and the hub cannot be reached$"):
        fewpass.load("some/one", "cpu")
