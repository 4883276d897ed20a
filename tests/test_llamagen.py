"""LlamaGen: logits and pixels against the published architecture, by the published names; files that will not do."""

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import T5Config, T5EncoderModel

import fewpass
import fewpass.models.hub
from fewpass.cli import main
from fewpass.core.protocol import Query
from fewpass.models.class_names import class_number, imagenet_classes
from fewpass.models.llamagen import LlamaGen
from fewpass.models.llamagen.network import LlamaGenForImageGeneration
from fewpass.models.llamagen.weights import config_of
from tests import llamagen as paper

SIDE = 4
SIZE = (2 * SIDE, 2 * SIDE)
PROMPT = "a red fox in the snow"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("llamagen")
    return {"c2i": paper.write_c2i(home / "c2i"), "t2i": paper.write_t2i(home / "t2i")}


@pytest.fixture(scope="module")
def pipes(folders):
    return {name: fewpass.load(folder, "cpu") for name, folder in folders.items()}


@pytest.fixture
def copy(folders, tmp_path):
    return shutil.copytree(folders["c2i"], tmp_path / "copy")


def answers(model, prompt, images, guidance):
    """The logits of all positions of the images [B, N], each with the same prompt: [B, N, V]."""
    grid = model.grid((2 * SIDE, 2 * SIDE))
    with torch.no_grad():
        session = model.open([prompt] * len(images), grid, guidance, [None] * len(images))
        index = torch.arange(grid.size - 1).expand(len(images), -1)
        return torch.cat([session.first, session(Query(images[:, :-1], index))], 1)


def drawn(seed=0):
    return torch.randint(paper.CODES, (2, SIDE**2), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_classes_are_read_as_the_paper_has_it(pipes, guidance):
    weights, images = paper.gpt_weights(captions=False), drawn()
    table, one = weights["cls_embedding.embedding_table.weight"], torch.ones(1, dtype=torch.bool)
    for image, ours in zip(images, answers(pipes["c2i"].model, "3", images, guidance), strict=True):
        law, free = (paper.logits(weights, table[[label]], one, image[:-1], SIDE) for label in (3, paper.LABELS))
        assert (free + guidance * (law - free) - ours).abs().max() < 1e-4 * ours.abs().max()


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_captions_are_read_as_the_paper_has_it(pipes, guidance):
    """There all slots are filled, the caption is in the last ones, and the others are masked, without a caption too."""
    own, weights, images = pipes["t2i"].model, paper.gpt_weights(captions=True), drawn(1)
    features = own.prompt_ids(PROMPT, own.grid(SIZE)).detach()
    assert len(features) == 7
    padding = paper.SLOTS - len(features)
    seen = torch.arange(paper.SLOTS) >= padding
    slots = torch.cat([torch.zeros(padding, paper.FEATURES), features])
    for image, ours in zip(images, answers(own, PROMPT, images, guidance), strict=True):
        law, free = (
            paper.logits(weights, paper.project(weights, x), seen, image[:-1], SIDE)
            for x in (slots, weights["cls_embedding.uncond_embedding"])
        )
        assert (free + guidance * (law - free) - ours).abs().max() < 1e-4 * ours.abs().max()


@pytest.mark.parametrize("kind", ["c2i", "t2i"])
@pytest.mark.parametrize("window", [1, 5, 15])
def test_fixed_noise_draws_the_images_of_autoregression(pipes, kind, window):
    prompts = ["0", "4", "2"] if kind == "c2i" else [PROMPT, "dog", "the fox, in a snow"]
    same = {"size": SIZE, "seed": 5, "guidance": 2.0}
    images, expected = (pipes[kind](prompts, decoder=decoder, **same).tokens for decoder in (f"jacobi({window})", "ar"))
    assert torch.equal(images, expected)
    assert len(set(map(tuple, images.tolist()))) == 3


@pytest.mark.parametrize("kind", ["c2i", "t2i"])
@pytest.mark.parametrize("side", [SIDE, 6])
def test_pictures_are_those_of_the_papers_decoder(pipes, kind, side):
    own = pipes[kind].model
    codes = torch.randint(paper.CODES, (2, side * side), generator=torch.Generator().manual_seed(side))
    for image, tokens in zip(own.pixels(codes, own.grid((2 * side, 2 * side))), codes, strict=True):
        expected = (paper.picture(paper.vq_weights(), tokens.view(side, side)).clamp(-1, 1) + 1) / 2 * 255
        apart = image.permute(2, 0, 1) - (expected + 0.5).floor()  # rounded, by torchvision's save_image
        assert expected.std() > 5
        assert apart.abs().max() <= 1
        assert apart.bool().double().mean() < 0.01


def test_features_are_those_of_a_padded_batch(folders, pipes):
    """The authors pad all captions to the same length, and mask."""
    encoder = T5EncoderModel.from_pretrained(folders["t2i"] / "t5")
    tokenizer = pipes["t2i"].model.encoder.tokenizer
    texts = [PROMPT, "dog"]
    batch = tokenizer(texts, padding="max_length", max_length=paper.SLOTS, return_tensors="pt")
    expected = encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    for text, features, real in zip(texts, expected, batch.attention_mask, strict=True):
        ours = pipes["t2i"].model.encoder(text)
        assert len(ours) == real.sum() < paper.SLOTS
        assert torch.allclose(ours, features[: len(ours)], atol=1e-5)


def test_features_in_place_of_a_prompt(pipes):
    pipe = pipes["t2i"]
    features = [pipe.model.encoder(text).detach() for text in (PROMPT, "dog")]
    expected = pipe([PROMPT, "dog"], size=SIZE, seed=1)
    result = pipe(features, size=SIZE, seed=1)
    assert torch.equal(result.tokens, expected.tokens)
    assert torch.equal(pipe(features[0], size=SIZE, seed=[1, 2]).tokens[0], expected.tokens[0])
    noted = [settings["prompt"] for settings in result.settings]
    assert noted[0].startswith("features [7, 16] with SHA-256 ")
    assert noted[0] != noted[1]
    away = pipe(PROMPT, size=SIZE, seed=1, negative_prompt=features[1]).tokens
    assert torch.equal(away, pipe(PROMPT, size=SIZE, seed=1, negative_prompt="dog").tokens)
    assert not torch.equal(away[0], expected.tokens[0])


def test_defaults_are_those_of_the_authors(pipes):
    figures = {name: (p.model.guidance, *vars(p.model.sampling).values()) for name, p in pipes.items()}
    assert figures == {"c2i": (4.0, 1.0, 2000, 1.0, 0.0), "t2i": (7.5, 1.0, 1000, 1.0, 0.0)}


@pytest.mark.parametrize(
    ("name", "layers", "heads", "width", "hidden"),
    [
        ("c2i_B_256", 12, 12, 768, 2048),
        ("c2i_L_384", 24, 16, 1024, 2816),
        ("c2i_XL_384", 36, 20, 1280, 3584),
        ("c2i_XXL_384", 48, 24, 1536, 4096),
        ("c2i_3B_384", 24, 32, 3200, 8704),
        ("t2i_XL_stage2_512", 36, 20, 1280, 3584),
    ],
)
def test_the_published_sizes(tmp_path, name, layers, heads, width, hidden):
    with torch.device("meta"):
        weights = {f"layers.{n}.feed_forward.w1.weight": torch.empty(hidden, width) for n in range(layers)}
        weights |= {"tok_embeddings.weight": torch.empty(16384, width)}
        table = {"cls_embedding.embedding_table.weight": torch.empty(1001, width)}
        weights |= table if name[0] == "c" else {"cls_embedding.uncond_embedding": torch.empty(120, 2048)}
        vq = {"quantize.embedding.weight": torch.empty(16384, 8), "post_quant_conv.weight": torch.empty(256, 8, 1, 1)}
        for level, channels in enumerate((512, 256, 256, 128, 128)):
            block = f"decoder.conv_blocks.{level}.res"
            vq |= {f"{block}.{n}.conv1.weight": torch.empty(channels, 1, 3, 3) for n in range(3)}
    config = config_of(tmp_path / f"{name}.pt", weights, tmp_path / "vq_ds16_t2i.pt", vq)
    assert (config.num_hidden_layers, config.num_attention_heads, config.hidden_size) == (layers, heads, width)
    assert config.side == int(name[-3:]) // 16
    assert (config.labels, config.caption_tokens) == ((1000, 0) if name[0] == "c" else (0, 120))
    assert config.vq == {
        "num_embeddings": 16384,
        "embed_dim": 8,
        "latent_channels": 256,
        "base_channels": 128,
        "channel_multiplier": [1, 1, 2, 2, 4],
        "num_res_blocks": 2,
    }


@pytest.mark.parametrize("container", ["model", "module", "state_dict", None])
def test_containers_of_weights(pipes, copy, container):
    weights = paper.gpt_weights(captions=False) | {"freqs_cis": torch.zeros(3)}
    content = weights if container is None else {container: weights, "args": argparse.Namespace(lr=1e-4), "steps": 3}
    torch.save(content, copy / "c2i_B.pt", _use_new_zipfile_serialization=container != "module")
    tokens = fewpass.load(copy / "c2i_B.pt", "cpu")("2", size=SIZE, seed=0).tokens
    assert torch.equal(tokens, pipes["c2i"]("2", size=SIZE, seed=0).tokens)


class Code:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused(copy, monkeypatch, zipped):
    monkeypatch.chdir(copy)
    content = {"model": paper.gpt_weights(captions=False), "args": Code()}
    torch.save(content, copy / "c2i_B.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"c2i_B\.pt holds pickled code, \w+\.mkdir, which fewpass does not run$"):
        fewpass.load(copy, "cpu")
    assert main(["generate", "1", "--model", str(copy)]) == 2
    assert not (copy / "ran").exists()


def without(name):
    return {key: value for key, value in paper.gpt_weights(captions=False).items() if key != name}


BROKEN = {
    "missing weights: layers.1.attention.wqkv.weight": lambda: without("layers.1.attention.wqkv.weight"),
    "missing weights: output.weight": lambda: without("output.weight"),
    "missing weights: layers.0.feed_forward.w1.weight": lambda: without("layers.0.feed_forward.w1.weight"),
    "missing weights: cls_embedding.uncond_embedding": lambda: without("cls_embedding.embedding_table.weight"),
    "weights that LlamaGen has not: layers.0.attention.q_norm.weight": lambda: (
        paper.gpt_weights(captions=False) | {"layers.0.attention.q_norm.weight": torch.ones(3)}
    ),
    "weights of the wrong shape: layers.1.attention.wqkv.weight": lambda: (
        paper.gpt_weights(captions=False) | {"layers.1.attention.wqkv.weight": torch.ones(3, 4)}
    ),
    "weights of the wrong shape: layers.0.ffn_norm.weight": lambda: (
        paper.gpt_weights(captions=False) | {"layers.0.ffn_norm.weight": torch.ones(3)}
    ),
    "weights of the wrong shape: tok_embeddings.weight": lambda: (
        paper.gpt_weights(captions=False) | {"tok_embeddings.weight": torch.ones(7)}
    ),
    "draws 7 codes, and .*vq_ds16_c2i.pt has 24": lambda: (
        paper.gpt_weights(captions=False) | {"tok_embeddings.weight": torch.ones(7, paper.WIDTH)}
    ),
    "2 layers of width 100 are none of B, L, XL, XXL, 3B": lambda: (
        paper.gpt_weights(captions=False) | {"tok_embeddings.weight": torch.ones(24, 100)}
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_unfit_weights_are_named(copy, message):
    torch.save({"model": BROKEN[message]()}, copy / "c2i_B.pt")
    with pytest.raises(ValueError, match=message) as error:
        fewpass.load(copy, "cpu")
    assert str(copy) in str(error.value)
    assert "\n" not in str(error.value)


def test_unfit_files_are_named(copy, tmp_path):
    whole = (copy / "c2i_B.pt").read_bytes()
    for damaged, message in ((whole[:2000], "cannot read"), (b"\7" * 99, "it is not a file of torch.save")):
        (copy / "c2i_B.pt").write_bytes(damaged)
        with pytest.raises(ValueError, match=message) as error:
            fewpass.load(copy, "cpu")
        assert "\n" not in str(error.value)
    for content in ([1, 2], {"model": {"steps": 3}}):
        torch.save(content, copy / "c2i_B.pt")
        with pytest.raises(ValueError, match="holds no weights"):
            fewpass.load(copy, "cpu")
    (copy / "c2i_B.pt").unlink()
    with pytest.raises(ValueError, match=r"there is no language model among the \.pt and \.pth files"):
        fewpass.load(copy, "cpu")
    with pytest.raises(ValueError, match=r"vq_ds16_c2i\.pt holds no language model"):
        fewpass.load(copy / "vq_ds16_c2i.pt", "cpu")
    (copy / "c2i_B.pt").write_bytes(whole)
    (copy / "vq_ds16_c2i.pt").unlink()
    with pytest.raises(ValueError, match=r"there is no image tokenizer among the \.pt and \.pth files"):
        fewpass.load(copy, "cpu")
    with pytest.raises(ValueError, match=r"unknown model .*missing.pt"):
        fewpass.load(tmp_path / "missing.pt", "cpu")


def test_several_models_in_one_folder(copy, pipes):
    torch.save({"model": paper.gpt_weights(captions=False, seed=7)}, copy / "c2i_L.pt")
    for stranger in ("vq_ds8_c2i.pt", "vq_ds16_t2i.pt"):
        torch.save({"model": paper.vq_weights(seed=7)}, copy / stranger)
    torch.save({"quantize.embedding.weight": torch.ones(paper.CODES, 8)}, copy / "vq_ds16_c2i_old.pt")
    with pytest.raises(
        ValueError, match=r"several image tokenizers, vq_ds16_c2i\.pt, vq_ds16_c2i_old\.pt: leave the one"
    ):
        fewpass.load(copy / "c2i_B.pt", "cpu")
    (copy / "vq_ds16_c2i.pt").rename(copy / "keep")
    with pytest.raises(ValueError, match=r"missing weights: decoder\.conv_blocks\.0\.res\.0\.conv1\.weight"):
        fewpass.load(copy / "c2i_B.pt", "cpu")
    (copy / "vq_ds16_c2i_old.pt").unlink()
    (copy / "keep").rename(copy / "vq_ds16_c2i.pt")
    with pytest.raises(ValueError, match=r"several language models, c2i_B\.pt, c2i_L\.pt: name the one"):
        fewpass.load(copy, "cpu")
    chosen = fewpass.load(copy / "c2i_B.pt", "cpu")("1", size=SIZE, seed=0)
    assert chosen.images[0].tobytes() == pipes["c2i"]("1", size=SIZE, seed=0).images[0].tobytes()


def test_size_is_read_from_the_name_of_the_file(folders, tmp_path):
    names = {"c2i_XL_384.pt": 192, "t2i_XL_stage1_256.pt": 128, "c2i_B_384_ep256.pt": 192, "mine.pt": 0}
    for name, side in {**names, "c2i_256_to_384.pt": 0}.items():
        kind = "t2i" if name.startswith("t2i") else "c2i"
        folder = shutil.copytree(folders[kind], tmp_path / name)
        next(path for path in folder.glob("?2i*.pt")).rename(folder / name)
        model = fewpass.load(folder, "cpu").model
        if side:
            assert model.grid(None).grids == ((side, side),)
            source = f"from the name of its file, {name}"
            assert model.size_source == source
            with pytest.raises(ValueError, match=f"draws {2 * side}x{2 * side} only \\({source}\\), not 64x64"):
                model.grid((64, 64))
        else:
            assert model.size_source == ""
            with pytest.raises(ValueError, match=f"the name of {name} does not contain the size it was trained for"):
                model.grid(None)
            for size, message in (((8, 6), "draws squares, not 8x6"), ((7, 7), "multiples of 2, not 7x7")):
                with pytest.raises(ValueError, match=message):
                    model.grid(size)


@pytest.mark.parametrize(
    ("kind", "prompt", "message"),
    [
        ("c2i", "a cat", "draws a class, a number from 0 to 4, not 'a cat'"),
        ("c2i", "5", "draws a class, a number from 0 to 4, not 5"),
        ("c2i", 5, "draws a class, a number from 0 to 4, not 5"),
        ("c2i", -1, "draws a class, a number from 0 to 4, not -1"),
        ("c2i", [0, 5], "draws a class, a number from 0 to 4, not 5"),
        ("c2i", True, "must be a text, the number of a class or a tensor, got True"),
        ("c2i", 2.0, r"must be a text, the number of a class or a tensor, got 2\.0"),
        ("c2i", None, "must be a text, the number of a class or a tensor, got None"),
        ("t2i", 3, "draws no classes: a prompt must be a text or a tensor of token ids, got 3"),
        ("c2i", "-1", "draws a class, a number from 0 to 4, not '-1'"),
        ("c2i", torch.tensor([1, 2]), r"draws one class of 0 to 4, not \[1, 2\]"),
        ("c2i", torch.tensor([9]), r"draws one class of 0 to 4, not \[9\]"),
        ("t2i", "a dog " * 6, "a prompt has 12 tokens at most, not 13"),
        ("t2i", "雪", "nothing is left of the prompt '雪'"),
        ("t2i", torch.tensor([1, 2]), r"reads features \[P, 16\] of at most 12 tokens, not \[2\]"),
        ("t2i", torch.zeros(3, 15), r"reads features \[P, 16\] of at most 12 tokens, not \[3, 15\]"),
        ("t2i", torch.zeros(13, 16), r"reads features \[P, 16\] of at most 12 tokens, not \[13, 16\]"),
    ],
)
def test_unfit_prompts_are_refused(pipes, kind, prompt, message):
    with pytest.raises(ValueError, match=message):
        pipes[kind](prompt, size=SIZE)


def test_class_is_given_by_its_number(pipes):
    pipe, same = pipes["c2i"], {"size": SIZE, "seed": 0}
    expected = pipe(["2", "4"], **same)
    drawn = pipe([2, 4], **same)
    assert torch.equal(drawn.tokens, expected.tokens)
    assert torch.equal(pipe(np.array([2, 4]), **same).tokens, expected.tokens)
    assert [settings["prompt"] for settings in drawn.settings] == [2, 4]
    assert torch.equal(pipe(2, **same).tokens, expected.tokens[:1])
    assert torch.equal(pipe(4, size=SIZE, seed=[1, 2]).tokens, pipe("4", size=SIZE, seed=[1, 2]).tokens)
    streamed = dict(pipe.stream([2, 4], **same))
    assert torch.equal(torch.cat([streamed[0].tokens, streamed[1].tokens]), expected.tokens)
    away = [pipe("2", **same, negative_prompt=number).tokens for number in (4, "4", np.int64(4))]
    assert torch.equal(away[0], away[1])
    assert torch.equal(away[0], away[2])
    json.dumps(pipe(np.int64(2), **same, negative_prompt=np.int64(4)).settings)
    with pytest.raises(ValueError, match=r"the number of a class or a tensor, got 4\.0"):
        pipe("2", **same, negative_prompt=4.0)
    with pytest.raises(ValueError, match="prompts must be several texts, got 2"):
        pipe.stream(2, **same)


NAMES = ["oak leaves", "Autumn Leaves", "moss", "moss", "tree-bark"]


def settings(folder, **values):
    (folder / "fewpass.json").write_text(json.dumps(values))
    return folder


def test_class_names_are_prompts(copy, pipes):
    pipe = fewpass.load(settings(copy, classes=NAMES), "cpu")
    expected = pipes["c2i"]("1", size=SIZE, seed=0).tokens
    for prompt in ("Autumn Leaves", "autumn  leaves ", "1", 1):
        drawn = pipe(prompt, size=SIZE, seed=0)
        assert torch.equal(drawn.tokens, expected)
        assert drawn.settings[0]["prompt"] == prompt
    both = pipe(["oak leaves", "tree-bark"], size=SIZE, seed=0, negative_prompt="autumn leaves")
    assert torch.equal(both.tokens, pipes["c2i"](["0", "4"], size=SIZE, seed=0, negative_prompt="1").tokens)


def test_unknown_class_names_list_near_and_known_ones(copy):
    pipe = fewpass.load(settings(copy, classes=NAMES), "cpu")
    with pytest.raises(ValueError, match="did you mean") as error:
        pipe("autum leaves", size=SIZE)
    assert "has no class 'autum leaves' (did you mean 'Autumn Leaves' or 'oak leaves'?)" in str(error.value)
    assert str(error.value).endswith("its classes are oak leaves, Autumn Leaves, moss, tree-bark, or 0 to 4")
    with pytest.raises(ValueError, match="has several classes 'Moss', 2, 3: give the number"):
        pipe("Moss", size=SIZE)


def test_lists_of_class_names_are_cut():
    names = [f"{number} {'x' * 99}" for number in range(1000)]
    with pytest.raises(ValueError, match=r"and 990 more, or 0 to 999$") as error:
        class_number("y" * 10**5, names, "model")
    assert len(str(error.value)) < 700


def test_models_of_1000_classes_have_the_names_of_imagenet():
    names = imagenet_classes()
    assert len(names) == len(set(names)) == 1000
    assert [names[number] for number in (0, 207, 999)] == ["tench", "golden retriever", "toilet tissue"]
    config = config_of(
        Path("c2i_B_256.pt"),
        paper.gpt_weights(captions=False) | {"cls_embedding.embedding_table.weight": torch.zeros(1001, paper.WIDTH)},
        Path("vq_ds16_c2i.pt"),
        paper.vq_weights(),
    )
    model = LlamaGen(LlamaGenForImageGeneration(config), None, "llamagen")
    assert model.prompt_ids("Golden retriever", model.grid(None)).tolist() == [207]
    with pytest.raises(ValueError, match=r"\(did you mean 'golden retriever'.*its classes are tench, .* and 990 more"):
        model.prompt_ids("golden retreiver", model.grid(None))


def test_settings_beside_the_weights_win_over_the_name_of_the_file(folders, tmp_path):
    folder = shutil.copytree(folders["c2i"], tmp_path / "own")
    (folder / "c2i_B.pt").rename(folder / "c2i_B_256.pt")
    values = {"size": 8, "guidance": 2.5, "temperature": 0.9, "top_k": 7, "top_p": 0.8}
    for path in (settings(folder, **values), folder / "c2i_B_256.pt"):
        model = fewpass.load(path, "cpu").model
        assert model.grid(None).grids == ((SIDE, SIDE),)
        assert model.size_source == "from fewpass.json"
        assert (model.guidance, model.sampling) == (2.5, fewpass.Sampling(0.9, 7, 0.8))
    text = fewpass.load(settings(shutil.copytree(folders["t2i"], tmp_path / "text"), size=8, top_p=0.5), "cpu").model
    assert (text.grid(None).grids, text.guidance) == (((SIDE, SIDE),), 7.5)
    assert text.sampling == fewpass.Sampling(top_k=1000, top_p=0.5)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("c2i", {"size": "8"}, "size must be a whole number of pixels >= 1, got '8'"),
        ("c2i", {"size": True}, "size must be a whole number of pixels >= 1, got True"),
        ("c2i", {"size": 7}, "size must be a multiple of 2, got 7"),
        ("c2i", {"classes": "moss"}, "classes must be a list of names, got 'moss'"),
        ("c2i", {"classes": ["moss", 2]}, r"classes must be a list of names, got \['moss', 2\]"),
        ("c2i", {"classes": ["moss"] * 4}, "classes must be 5 names, got 4 names"),
        ("c2i", {"classes": [*NAMES[:4], " "]}, "classes must be a list of names, got"),
        ("t2i", {"classes": NAMES}, "classes must be absent, since the model reads texts, got 5 names"),
        ("c2i", {"guidance": "4"}, "guidance must be a number >= 0, got '4'"),
        ("c2i", {"guidance": -1}, "guidance must be a number >= 0, got -1"),
        ("c2i", {"temperature": [1]}, r"temperature must be a number >= 0, got \[1\]"),
        ("c2i", {"top_k": 1.5}, r"top_k must be a whole number of codes >= 0, got 1\.5"),
        ("c2i", {"top_p": 2}, r"top_p must lie in \(0, 1\], got 2"),
    ],
)
def test_settings_of_the_wrong_kind_name_file_and_key(folders, tmp_path, kind, values, message):
    folder = settings(shutil.copytree(folders[kind], tmp_path / "wrong"), **values)
    with pytest.raises(ValueError, match=message) as error:
        fewpass.load(folder, "cpu")
    assert str(error.value).startswith(f"{folder / 'fewpass.json'}: ")
    assert "\n" not in str(error.value)


def test_unfit_text_encoders_are_refused(folders, pipes, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = shutil.copytree(folders["t2i"], tmp_path / "copy")
    wide = T5EncoderModel(T5Config(vocab_size=12, d_model=24, d_kv=8, d_ff=32, num_layers=1, num_heads=2))
    wide.save_pretrained(folder / "t5")
    with pytest.raises(ValueError, match=r"gives features of width 24 and .* reads 16: it was made for google/flan-t5"):
        fewpass.load(folder, "cpu")
    shutil.copytree(folders["t2i"] / "t5", folder / "t5", dirs_exist_ok=True)
    (folder / "t5" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="there is no tokenizer in"):
        fewpass.load(folder, "cpu")
    shutil.rmtree(folder / "t5")
    pipe = fewpass.load(folder, "cpu")
    with pytest.raises(ValueError, match="reads prompts through google/flan-t5-xl, which is neither in a folder t5"):
        pipe("dog", size=SIZE)
    features = pipes["t2i"].model.encoder("dog")
    assert torch.equal(pipe(features, size=SIZE, seed=0).tokens, pipes["t2i"]("dog", size=SIZE, seed=0).tokens)
    home = tmp_path / "hub" / "models--google--flan-t5-xl"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folders["t2i"] / "t5", home / "snapshots" / ("0" * 40))
    assert torch.equal(fewpass.load(folder, "cpu").model.encoder("dog"), features)


def test_file_in_a_repository_is_loaded(folders, pipes, monkeypatch):
    asked = {}

    def download(repository, allow_patterns, **options):
        asked.update(repository=repository, wanted=allow_patterns)
        return str(folders["c2i"])

    monkeypatch.setattr(fewpass.models.hub, "snapshot_download", download)
    tokens = fewpass.load("some/one/c2i_B.pt", "cpu")("1", size=SIZE, seed=0).tokens
    assert asked == {"repository": "some/one", "wanted": ["c2i_B.pt", "vq_ds16*.pt", "fewpass.json"]}
    assert torch.equal(tokens, pipes["c2i"]("1", size=SIZE, seed=0).tokens)


def test_wrap_and_generate_take_the_network(pipes):
    """`fewpass.wrap` and `fewpass.generate` take the network itself."""
    own = pipes["c2i"].model
    wrapped = fewpass.wrap(own.model)
    labels = torch.tensor([[1], [3]])
    expected = wrapped(list(labels), size=SIZE, seed=0, guidance=1, top_k=0).tokens
    assert torch.equal(expected, pipes["c2i"](["1", "3"], size=SIZE, seed=0, guidance=1, top_k=0).tokens)
    own.model.config.side = SIDE
    try:
        drawn = fewpass.generate(own.model, input_ids=labels, decoder="jacobi(5)", seed=0, guidance_scale=1.0)
        greedy = wrapped(list(labels), seed=0, guidance=1, temperature=0).tokens
    finally:
        own.model.config.side = 0
    assert torch.equal(drawn, greedy)


def test_options_reach_the_network(folders, pipes):
    eager = fewpass.load(folders["c2i"], "cpu", "float64", attn_implementation="eager").model
    assert eager.model.language_model.config._attn_implementation == "eager"
    assert eager.model.dtype == torch.float64
    placed = fewpass.load(folders["c2i"], device_map={"": "cpu"})
    images = drawn()
    assert torch.equal(*(answers(pipe.model, "3", images, 2.0) for pipe in (placed, pipes["c2i"])))
    assert torch.allclose(
        answers(eager, "3", images, 2.0).float(), answers(pipes["c2i"].model, "3", images, 2.0), rtol=1e-3, atol=1e-3
    )


def test_on_the_command_line(folders, tmp_path, capsys):
    drawn = ["generate", "3", "--model", str(folders["c2i"]), "--size", "8x8", "--device", "cpu"]
    assert main([*drawn, "-o", str(tmp_path / "fox.png")]) == 0
    assert (tmp_path / "fox.png").exists()
    drawn[1] = "a fox"
    assert main(drawn) == 2
    assert "a number from 0 to 4, not 'a fox'" in capsys.readouterr().err
