"""Models from folders, from the hub, from other packages and from hands that have loaded them; and none of these."""

import json
import shutil
import sys
import types

import pytest
import torch
from huggingface_hub import errors
from huggingface_hub.utils import filter_repo_objects
from peft import LoraConfig, get_peft_model
from transformers import (
    BitsAndBytesConfig,
    ChameleonForConditionalGeneration,
    Emu3ForConditionalGeneration,
    Emu3ImageProcessor,
    Emu3Processor,
    JanusForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
)

import fewpass
import fewpass.models
import fewpass.models.hub
from fewpass.models.checkpoint import Checkpoint
from tests.families import rewrite, write_anole, write_chameleon, write_emu3, write_janus
from tests.hub import cached

SIZE = (32, 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_emu3(tmp_path_factory.mktemp("emu3"))


@pytest.fixture(scope="module")
def pipe(folder):
    return fewpass.load(folder, device="cpu")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def load(folder, **options):
    return fewpass.load(folder, device="cpu", **options)


def test_a_model_that_is_loaded_already(folder, pipe):
    model = Emu3ForConditionalGeneration.from_pretrained(folder).train()
    processor = Emu3Processor(Emu3ImageProcessor(), pipe.model.tokenizer)
    expected = pipe("a cat", size=SIZE, seed=1).tokens
    for given in (processor, pipe.model.tokenizer):
        wrapped = fewpass.wrap(model, given)
        assert torch.equal(wrapped("a cat", size=SIZE, seed=1).tokens, expected)
        assert wrapped.model.model is model
    assert not model.training


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
def test_a_model_with_adapters(folder, pipe):
    model = Emu3ForConditionalGeneration.from_pretrained(folder)
    strong = LoraConfig(target_modules=["q_proj", "up_proj"], init_lora_weights=False, lora_alpha=2**12)
    adapted = get_peft_model(model, strong)
    ids = pipe.model.prompt_ids("a cat", pipe.model.grid(SIZE))
    same = {"size": SIZE, "seed": 1, "guidance": 1}
    drawn = fewpass.wrap(adapted)(ids, **same).tokens
    assert not torch.equal(drawn, pipe(ids, **same).tokens)
    with adapted.disable_adapter():
        assert torch.equal(fewpass.wrap(adapted)(ids, **same).tokens, pipe(ids, **same).tokens)
    merged = adapted.merge_and_unload()
    assert torch.equal(fewpass.wrap(merged)(ids, **same).tokens, drawn)


def test_a_model_that_transformers_has_placed(folder, pipe):
    placed = fewpass.load(folder, device_map={"": "cpu"})
    assert torch.equal(placed("dog", size=SIZE, seed=0).tokens, pipe("dog", size=SIZE, seed=0).tokens)


@pytest.mark.parametrize(("write", "place"), [(write_emu3, "disk"), (write_anole, "cpu"), (write_janus, "cpu")])
def test_a_model_that_is_offloaded(write, place, tmp_path):
    """None of its weights are where the computing is done before they are needed."""
    accelerate = pytest.importorskip("accelerate")
    whole = load(write(tmp_path / "model"))
    moved = type(whole.model.model).from_pretrained(tmp_path / "model")
    if place == "cpu":
        accelerate.cpu_offload(moved, torch.device("cpu"))
    else:
        accelerate.disk_offload(moved, tmp_path / "offloaded", torch.device("cpu"))
    assert {weight.device.type for weight in moved.parameters()} == {"meta"}
    pipe = fewpass.wrap(moved, whole.model.tokenizer)
    here = fewpass.wrap(type(moved).from_pretrained(tmp_path / "model"), whole.model.tokenizer)
    size = (16, 16) if write is write_emu3 else None
    same = {"size": size, "seed": 1, "decoder": "jacobi(window=20)"}
    expected, drawn = (each("a cat", **same) for each in (here, pipe))
    assert torch.equal(drawn.tokens, expected.tokens)
    assert drawn.images[0].tobytes() == expected.images[0].tobytes()
    if write is not write_anole:  # its codebook is that of the decoder
        with pytest.raises(ValueError, match="the codebook is offloaded"):
            pipe("a cat", size=size, seed=1, decoder="lantern")


@pytest.mark.filterwarnings("ignore:.*quantiz")  # torch wants another package for it
def test_a_model_that_is_quantised(tmp_path):
    """The images of its own `generate`; activations are scaled pass by pass, so that only `ar` sees the same."""
    folder = write_janus(tmp_path)
    plain = JanusForConditionalGeneration.from_pretrained(folder)
    quantised = torch.ao.quantization.quantize_dynamic(plain, {torch.nn.Linear}, torch.qint8)
    ids = torch.tensor([[1, 7, 8, 9, 4]])
    asked = {"do_sample": False, "guidance_scale": 2.0, "generation_mode": "image"}
    expected = quantised.generate(ids, attention_mask=torch.ones_like(ids), **asked)
    pipe = fewpass.wrap(quantised, load(folder).model.tokenizer)
    assert torch.equal(pipe(ids[0], temperature=0, guidance=2.0, decoder="ar").tokens, expected)
    assert not torch.equal(plain.generate(ids, attention_mask=torch.ones_like(ids), **asked), expected)
    drawn = pipe(["a cat", "dog on the moon"], seed=1, decoder="mc_sjd(window=6)")
    assert drawn.tokens.shape == (2, 16)
    assert drawn.images[0].size == (8, 8)


def test_token_ids_where_there_is_no_tokenizer(folder, pipe):
    wrapped = fewpass.wrap(Emu3ForConditionalGeneration.from_pretrained(folder))
    ids = [pipe.model.prompt_ids(prompt, pipe.model.grid(SIZE)) for prompt in ("a cat", "dog")]
    result = wrapped(ids, size=SIZE, seed=1, guidance=1)
    assert torch.equal(result.tokens, pipe(["a cat", "dog"], size=SIZE, seed=1, guidance=1).tokens)
    assert result.settings[0]["prompt"] == ids[0].tolist()
    assert torch.equal(wrapped(ids[0], size=SIZE, seed=[1, 2], guidance=1).tokens[0], result.tokens[0])
    with pytest.raises(ValueError, match="came without a tokenizer: it takes token ids only"):
        wrapped("a cat", size=SIZE)
    for wrong in (torch.zeros(2), torch.zeros(0, dtype=torch.long), torch.tensor(3)):
        with pytest.raises(ValueError, match="a prompt of token ids is a tensor"):
            wrapped(wrong, size=SIZE)


def test_a_chameleon_finds_its_decoder_where_it_came_from(tmp_path):
    folder = write_anole(tmp_path / "anole")
    model = ChameleonForConditionalGeneration.from_pretrained(folder)
    ids = torch.tensor([1, 9, 8])
    drawn = fewpass.wrap(model)(ids, seed=0)
    assert drawn.images[0].tobytes() == load(folder)(ids, seed=0).images[0].tobytes()
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match="holds no VQGAN decoder"):
        fewpass.wrap(model)(ids, seed=0)


def test_models_that_are_no_image_models():
    llama = LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=8, num_hidden_layers=1, vocab_size=8))
    with pytest.raises(ValueError, match="unknown model family 'llama'; known are janus, emu3, chameleon, glm_image"):
        fewpass.wrap(llama)
    with pytest.raises(ValueError, match=r"^model must be a model of transformers, got Linear\("):
        fewpass.wrap(torch.nn.Linear(2, 2))


def test_attention_without_a_mask_of_its_own(folder):
    with pytest.raises(ValueError, match="'flash_attention_2' takes no 4-D mask; use one of sdpa, eager"):
        load(folder, attn_implementation="flash_attention_2")
    model = Emu3ForConditionalGeneration.from_pretrained(folder)
    model.model.text_model.config._attn_implementation = "flex_attention"
    with pytest.raises(ValueError, match="'flex_attention' takes no 4-D mask"):
        fewpass.wrap(model)


def test_eager_attention(folder, pipe):
    eager = load(folder, attn_implementation="eager")
    assert eager.model.model.model.text_model.config._attn_implementation == "eager"
    greedy = {"size": SIZE, "temperature": 0, "seed": 0}
    assert torch.equal(eager("a cat", **greedy).tokens, pipe("a cat", **greedy).tokens)


def test_options_reach_transformers(folder, monkeypatch):
    asked, original = {}, Emu3ForConditionalGeneration.from_pretrained.__func__

    def spy(kind, where, **options):
        asked.update(options, where=where)
        options.pop("quantization_config", None)
        options.pop("device_map", None)
        return original(kind, where, **options)

    monkeypatch.setattr(Emu3ForConditionalGeneration, "from_pretrained", classmethod(spy))
    quantised = BitsAndBytesConfig(load_in_8bit=True)
    fewpass.load(folder, device_map={"": "cpu"}, quantization_config=quantised, dtype="float64")
    assert asked["where"] == folder
    assert asked["device_map"] == {"": "cpu"}
    assert asked["quantization_config"] is quantised
    assert asked["dtype"] == torch.float64
    with pytest.raises(ValueError, match="give device or device_map, not both"):
        load(folder, device_map="auto")


def test_repositories_of_the_hub(folder, pipe, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached(tmp_path, "someone/tiny-emu3", folder)
    loaded = load("someone/tiny-emu3", local_files_only=True)
    assert loaded.model.name == "someone/tiny-emu3"
    assert torch.equal(loaded("dog", size=SIZE, seed=0).tokens, pipe("dog", size=SIZE, seed=0).tokens)
    with pytest.raises(ValueError, match=r"^'someone/else' is no folder, and not among the earlier downloads$"):
        load("someone/else", local_files_only=True)
    with pytest.raises(ValueError, match="not among the earlier downloads"):
        load("someone/tiny-emu3", revision="v2", local_files_only=True)


def test_repositories_that_cannot_be_had(monkeypatch):
    answer = types.SimpleNamespace(headers={}, request=None, status_code=404, url="")
    cases = {
        errors.GatedRepoError("no", response=answer): "is gated: accept its conditions",
        errors.RepositoryNotFoundError("no", response=answer): "unknown model 'some/one'",
        errors.RevisionNotFoundError("no", response=answer): "has no revision 'v9'",
        errors.LocalEntryNotFoundError("no"): "the hub cannot be reached",
    }
    for error, message in cases.items():

        def refuse(*arguments, error=error, **options):
            raise error

        monkeypatch.setattr(fewpass.models.hub, "snapshot_download", refuse)
        with pytest.raises(ValueError, match=message) as caught:
            load("some/one", revision="v9")
        assert "\n" not in str(caught.value)


def test_weights_are_downloaded_for_families_that_are_known(copy, monkeypatch):
    asked = []

    def download(repository, allow_patterns, **options):
        names = ["model_index.json", "vision_language_encoder/config.json", "config.json", "tokenizer.json"]
        asked.append(list(filter_repo_objects([*names, "model.safetensors"], allow_patterns=allow_patterns)))
        return str(copy)

    monkeypatch.setattr(fewpass.models.hub, "snapshot_download", download)
    edit(copy, model_type="llama")
    with pytest.raises(ValueError, match="unknown model family 'llama'"):
        load("some/one")
    described = ["model_index.json", "vision_language_encoder/config.json", "config.json"]
    assert asked == [described]
    edit(copy, model_type="emu3")
    load("some/one")
    assert asked == [described, described, [*described, "tokenizer.json", "model.safetensors"]]


@pytest.mark.parametrize("name", ["nothing", "no/such/folder", "../up", "with spaces/in it"])
def test_names_that_are_nothing(name, monkeypatch):
    monkeypatch.setattr(fewpass.models.hub, "snapshot_download", lambda *a, **o: pytest.fail("the hub was asked"))
    with pytest.raises(ValueError, match=r"^unknown model .*: neither a bundled one \(emoji, photo\), nor a folder"):
        load(name)


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_folders_that_are_no_models(copy, tmp_path):
    edit(copy, model_type="llama")
    with pytest.raises(ValueError, match="unknown model family 'llama'; known are janus, emu3, chameleon, glm_image"):
        load(copy)
    edit(copy, model_type="other_modality", auto_map={"AutoModel": "modeling.Mine"})
    with pytest.raises(ValueError, match="'other_modality' comes with code of its own, which fewpass does not run"):
        load(copy)
    edit(copy, model_type="emu3", text_config={"hidden_size": "wide"})
    with pytest.raises(ValueError, match=r"cannot read the model in .*'hidden_size' expected int") as caught:
        load(copy)
    assert "\n" not in str(caught.value)
    for broken in ("{", "[]"):
        (copy / "config.json").write_text(broken)
        with pytest.raises(ValueError, match=r"cannot read .*config\.json"):
            load(copy)
    with pytest.raises(ValueError, match="unknown model"):
        load(tmp_path)


def test_weights_that_are_missing_misshapen_or_cut_short(copy):
    name = "model.text_model.layers.1.mlp.down_proj.weight"
    whole = (copy / "model.safetensors").read_bytes()
    stored = "text_model.model.layers.1.mlp.down_proj.weight"
    rewrite(copy, lambda weights: {key: tensor for key, tensor in weights.items() if key != stored})
    with pytest.raises(ValueError, match=f"missing weights: {name}"):
        load(copy)
    (copy / "model.safetensors").write_bytes(whole)
    rewrite(copy, lambda weights: weights | {stored: weights[stored][:, :-1]})
    with pytest.raises(ValueError, match=f"weights of the wrong shape: {name}"):
        load(copy)
    (copy / "model.safetensors").write_bytes(whole[:1000])
    with pytest.raises(ValueError, match="cannot read the model in") as caught:
        load(copy)
    assert "\n" not in str(caught.value)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"there are no weights in .* none of model\.safetensors, [^;]*$"):
        load(copy)


def test_a_tokenizer_that_is_missing(copy):
    for path in copy.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ValueError, match=r"there is no tokenizer in .*: none of tokenizer\.json") as caught:
        load(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [write_emu3, write_anole, write_janus])
def test_nothing_long_is_done_before_what_is_missing_is_found(write, tmp_path, monkeypatch):
    folder = write(tmp_path / "model")
    monkeypatch.setattr(Checkpoint, "weights", lambda *arguments, **options: pytest.fail("the weights were read"))
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ValueError, match="there is no tokenizer in"):
        load(folder)
    with pytest.raises(ValueError, match="holds no VQGAN decoder"):
        load(write_chameleon(tmp_path / "meta"))


def test_a_tokenizer_of_another_model(copy, tmp_path):
    stranger = write_janus(tmp_path / "janus")
    for path in stranger.glob("tokenizer*"):
        shutil.copy(path, copy)
    with pytest.raises(ValueError, match="the tokenizer has no boi_token"):
        load(copy)("a cat", size=SIZE)


PLUGIN = """
from fewpass.models.emu3 import Emu3

class Other(Emu3):
    guidance = 1.0
"""


def test_families_of_other_packages(copy, tmp_path, monkeypatch):
    home = tmp_path / "site"
    info = home / "other_family-1.0.dist-info"
    info.mkdir(parents=True)
    (home / "other_family.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-family\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[fewpass.models]\nother_image = other_family:Other\nemu3 = other_family:Wrong\n"
    )
    monkeypatch.syspath_prepend(str(home))
    config = json.loads((copy / "config.json").read_text())
    assert config["model_type"] == "emu3"
    assert type(load(copy).model).__name__ == "Emu3", "ours cannot be taken away"
    monkeypatch.setattr(fewpass.models, "read_json", lambda path: {"model_type": "other_image"})
    loaded = load(copy)
    assert type(loaded.model).__module__ == "other_family"
    assert loaded("a cat", size=SIZE, seed=0).tokens.shape == (1, 15)
    monkeypatch.setattr(fewpass.models, "read_json", lambda path: {"model_type": "nobody's"})
    with pytest.raises(ValueError, match=f"known are {', '.join(fewpass.models.FAMILIES)}, other_image$"):
        load(copy)
    sys.modules.pop("other_family", None)
