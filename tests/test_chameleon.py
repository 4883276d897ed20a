"""Anole and Lumina-mGPT: tokens against a reading without a cache, pixels against the paper's decoder."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import ChameleonConfig, ChameleonForConditionalGeneration

import fewpass
from fewpass.models.chameleon.styles import style_of
from fewpass.models.layout import own_name
from tests.families import (
    TEXT,
    chameleon_words,
    decoder_weights,
    numbered,
    rewrite,
    tokenizer_of,
    write_anole,
    write_chameleon,
    write_lumina,
)
from tests.families import WORDS as PLAIN
from tests.vqgan import PaperDecoder

PROMPTS = ["a cat on the moon", "dog", "the moon"]
WORDS = chameleon_words()
LUMINA = ChameleonConfig(vocabulary_map={})
LUMINA.z_loss_weight = 0.0
SIZES = {"anole": (64, 64), "lumina": (64, 96)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chameleon")
    for name in ("anole", "lumina"):
        (folder / name).mkdir()
    return {"anole": write_anole(folder / "anole"), "lumina": write_lumina(folder / "lumina")}


@pytest.fixture(scope="module")
def pipes(folders):
    return {name: fewpass.load(folder, device="cpu") for name, folder in folders.items()}


@pytest.fixture(params=["anole", "lumina"])
def pipe(request, pipes):
    return pipes[request.param]


def size_of(pipe):
    return SIZES[pipe.model.name.rsplit("/")[-1]]


def read(model, ids):
    """The law of the next code, of the whole sequence, without a cache."""
    codes = torch.tensor([model.model.vocabulary_mapping.img2bpe[code] for code in range(24)])
    hidden = model.model(input_ids=ids[None], use_cache=False).last_hidden_state[0, -1]
    return model.lm_head.weight[codes] @ hidden, codes


@pytest.mark.parametrize("guidance", [1.0, 3.5])
def test_greedy_tokens_are_those_of_a_reading_without_a_cache(pipe, guidance):
    own, grid = pipe.model, pipe.model.grid(size_of(pipe))
    result = pipe(PROMPTS, size=size_of(pipe), guidance=guidance, temperature=0, decoder="jacobi(window=5)", seed=0)
    for prompt, tokens in zip(PROMPTS, result.tokens, strict=True):
        rows = [own.prompt_ids(prompt, grid), *own.rows(own.prompt_ids(prompt, grid), None, grid)[1:]]
        row_end = own.vocabulary.ids[-1:]
        for position, token in enumerate(tokens.tolist()):
            if grid.due(torch.tensor(position)) >= 0:
                assert token == 24
                rows = [torch.cat([row, row_end]) for row in rows]
                continue
            (law, codes), (free, _) = read(own.model, rows[0]), read(own.model, rows[-1])
            best = int((free + guidance * (law - free)).argmax())
            assert token == best
            rows = [torch.cat([row, codes[best : best + 1]]) for row in rows]


def test_rows_hold_prompt_and_layout(pipes):
    names = {number: word for word, number in WORDS.items()}
    anole, lumina = pipes["anole"].model, pipes["lumina"].model
    spelled = lambda ids: [names[i] for i in ids.tolist()]  # noqa: E731
    assert spelled(anole.prompt_ids("a cat", anole.grid(None))) == [
        "<s>",
        "a",
        "cat",
        "<reserved08706>",
        "<racm3:break>",
    ]
    grid = lumina.grid((64, 96))
    ids = lumina.prompt_ids("a cat", grid)
    header = ["<racm3:break>", "<reserved08803>", "<reserved08802>"]
    asked = "Generate an image of 6 4 x 9 6 according to the following prompt : a cat"
    assert " ".join(spelled(ids)) == " ".join(["<s>", asked, "<reserved08706>", *header])
    assert spelled(lumina.rows(ids, None, grid)[1]) == header
    assert spelled(anole.rows(ids, None, anole.grid(None))[1]) == ["<s>", "<racm3:break>"]
    assert grid.grids == ((6, 5),)
    assert lumina.grid((768, 768) if "<reserved08824>" in WORDS else (96, 96)).cols % 2 == 1


def published_words():
    """The first 8900 words of the published vocabulary, in its order."""
    codes = [f"IMGIMG{''.join(chr(ord('A') + int(digit)) for digit in str(code))}Z" for code in range(8192)]
    layout = ["<eoss>", "<racm3:break>", *(f"<reserved{number:05d}>" for number in range(8194, 8894)), "<image>"]
    return numbered("<s>", "<pad>", "</s>", "<unk>", *codes, *layout, *PLAIN)


@pytest.mark.parametrize("family", ["anole", "lumina"])
def test_prompt_ids_are_those_of_the_published_models(family):
    """LANTERN's and Lumina-mGPT's own code give these ids, whatever config.bos_token_id says."""
    words = published_words()
    vq = {"embed_dim": 8, "num_embeddings": 8192, "latent_channels": 32, "base_channels": 32, "resolution": 512}
    config = ChameleonConfig(
        **TEXT, vocab_size=len(words), vocabulary_map=words, image_token_id=words["<image>"], vq_config=vq
    )
    config.z_loss_weight = 0.0 if family == "lumina" else None
    if family == "anole":
        del config.z_loss_weight
    assert config.bos_token_id == 1
    tokenizer = tokenizer_of(words, bos_token="<s>", pad_token="<pad>")
    own = fewpass.wrap(ChameleonForConditionalGeneration(config), tokenizer).model
    grid = own.grid((512, 512))
    rows = own.rows(own.prompt_ids("a cat", grid), None, grid)
    asked = [
        "Generate",
        "an",
        "image",
        "of",
        *"512x512",
        "according",
        "to",
        "the",
        "following",
        "prompt",
        ":",
        "a",
        "cat",
    ]
    header = [8197] if family == "anole" else [8197, 8804 + 16, 8804 + 16]
    text = ["a", "cat"] if family == "anole" else asked
    contrast = [0, 8197] if family == "anole" else header
    assert [row.tolist() for row in rows] == [[0, *(words[word] for word in text), 8710, *header], contrast]


@pytest.mark.parametrize("way", ["load", "wrap", "wrap without tokenizer", "generate"])
def test_rows_begin_with_the_start_word(way, pipes, folders, monkeypatch):
    """`config.bos_token_id` is 1, the word <pad>, in every converted checkpoint."""
    seen, pipe = [], pipes["anole"]
    open_rows = type(pipe.model).open_rows
    monkeypatch.setattr(
        type(pipe.model), "open_rows", lambda own, rows, *rest: seen.extend(rows) or open_rows(own, rows, *rest)
    )
    model, ids = pipe.model.model, pipe.model.prompt_ids("a cat", pipe.model.grid(None))
    assert model.config.bos_token_id == WORDS["<pad>"] == 1
    asked = {"seed": 0, "decoder": "jacobi(window=16)"}
    match way:
        case "load":
            pipe("a cat", **asked)
        case "wrap":
            fewpass.wrap(model, pipe.model.tokenizer)("a cat", **asked)
        case "wrap without tokenizer":
            fewpass.wrap(model)(ids, **asked)
        case "generate":
            fewpass.generate(model, input_ids=ids[None], guidance_scale=3.0, **asked)
    ((prompt, contrast),) = seen
    assert prompt.tolist() == [WORDS[word] for word in ("<s>", "a", "cat", "<reserved08706>", "<racm3:break>")]
    assert contrast.tolist() == [WORDS["<s>"], WORDS["<racm3:break>"]]


def test_images_in_a_prompt_are_refused(pipe):
    """There is no encoder in Lumina-mGPT's checkpoints: transformers would read them with random weights."""
    own = pipe.model
    ids = own.prompt_ids("a cat", own.grid(size_of(pipe)))[None]
    with pytest.raises(ValueError, match="draws from texts only: there are images among the inputs"):
        fewpass.generate(own.model, input_ids=ids, pixel_values=torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("window", [1, 4, 15])
def test_fixed_noise_draws_the_images_of_autoregression(pipe, window):
    same = {"size": size_of(pipe), "seed": 5}
    drawn, expected = (pipe(PROMPTS, decoder=decoder, **same).tokens for decoder in (f"jacobi({window})", "ar"))
    assert torch.equal(drawn, expected)


def test_pictures_are_those_of_the_paper(pipe, folders):
    result = pipe("a cat", size=size_of(pipe), seed=1)
    folder = folders[pipe.model.name.rsplit("/")[-1]]
    inside = folder / "vqgan" if (folder / "vqgan").exists() else folder
    weights = {name.removeprefix("model.vqmodel."): w for name, w in load_file(inside / "model.safetensors").items()}
    paper = PaperDecoder(levels=5, channels=32, latent=32)
    paper.load_state_dict(decoder_weights())
    width, height = size_of(pipe)
    codes = result.tokens.view(height // 16, -1)[:, : width // 16]
    latents = weights["quantize.embedding.weight"][codes].permute(2, 0, 1)[None]
    mixed = torch.nn.functional.conv2d(latents, weights["post_quant_conv.weight"], weights["post_quant_conv.bias"])
    expected = ((paper(mixed)[0].clamp(-1, 1) + 1) / 2 * 255).floor().permute(1, 2, 0).detach()
    assert expected.std() > 5
    drawn = torch.tensor(list(result.images[0].tobytes())).view(height, width, 3)
    assert result.images[0].size == (width, height)
    assert (drawn - expected).abs().max() <= 1
    assert (drawn != expected).double().mean() < 0.02  # pixels on the edge of rounding: up to 1.1 % by processor


def test_defaults_are_those_of_the_authors(pipes):
    figures = {name: (p.model.guidance, *vars(p.model.sampling).values()) for name, p in pipes.items()}
    assert figures == {"anole": (3.0, 0.7, 0, 0.9, 0.0), "lumina": (4.0, 1.0, 2000, 1.0, 0.0)}


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *(("Alpha-VLLM/Lumina-mGPT-7B-512", 512), ("Alpha-VLLM/Lumina-mGPT-7B-768-Omni", 768)),
        *(("/runs/run-1024/lumina_512px", 512), ("/runs/run-1024/mine", 0), ("lumina-1024x1024/", 1024)),
        ("/hub/models--Alpha-VLLM--Lumina-mGPT-7B-1024/snapshots/a768b512c", 1024),
        *(("/hub/models--me--mine/snapshots/768", 0), ("lumina-512-to-768", 0), ("lumina-768-512x512", 0)),
        *(("lumina-ep768", 0), ("lumina-15120", 0), ("512/lumina", 0)),
    ],
)
def test_lumina_reads_its_size_from_its_name(name, side):
    style = style_of(LUMINA, name, 24)
    assert style.side == side
    assert style.size_source == (f"from its name, {own_name(name)}" if side else "")
    if side:
        assert own_name(name).count(str(side))


def test_lumina_without_a_size_in_its_name_needs_one(pipes):
    own = pipes["lumina"].model
    with pytest.raises(
        ValueError, match=r"the name of .*lumina does not contain the size it was trained for: give the size"
    ):
        own.grid(None)
    assert own.size_source == ""
    assert own.grid((64, 96)).grids == ((6, 5),)


def test_lumina_in_the_current_folder_has_the_name_of_the_folder(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(folders["lumina"], tmp_path / "Lumina-mGPT-7B-512"))
    own = fewpass.load(".", device="cpu").model
    assert (own.style.side, own.size_source) == (512, "from its name, Lumina-mGPT-7B-512")


def changed(source, folder, change):
    shutil.copytree(source, folder)
    rewrite(folder, change)
    return folder


def without(start):
    return lambda weights: {name: tensor for name, tensor in weights.items() if not name.startswith(start)}


def test_disabled_image_output_is_refused(tmp_path, folders):
    with pytest.raises(ValueError, match=r"holds no VQGAN decoder .*Meta's Chameleon does not draw"):
        fewpass.load(write_chameleon(tmp_path / "meta"), device="cpu")

    def emptied(weights):
        weights["lm_head.weight"][[WORDS[word] for word in WORDS if word.startswith("IMGIMG")]] = 0
        return weights

    with pytest.raises(ValueError, match="image output is disabled"):
        fewpass.load(changed(folders["anole"], tmp_path / "empty", emptied), device="cpu")


def test_text_only_checkpoint_is_refused(tmp_path, folders):
    folder = shutil.copytree(folders["anole"], tmp_path / "text")
    config = json.loads((folder / "config.json").read_text())
    config["vocabulary_map"] = {word: n for word, n in WORDS.items() if not word.startswith("IMGIMG")}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no image tokens: a text-only checkpoint"):
        fewpass.load(folder, device="cpu")


def test_missing_and_unfit_weights_are_named(tmp_path, folders):
    gone = "model.layers.1.mlp.up_proj.weight"
    with pytest.raises(ValueError, match=f"missing weights: {gone}"):
        fewpass.load(changed(folders["lumina"], tmp_path / "a", without(gone)), device="cpu")
    narrow = "model.layers.0.self_attn.q_norm.weight"
    cut = lambda weights: weights | {narrow: weights[narrow][:, :-1]}  # noqa: E731
    with pytest.raises(ValueError, match=f"wrong shape: {narrow}"):
        fewpass.load(changed(folders["lumina"], tmp_path / "b", cut), device="cpu")
    part = "model.vqmodel.decoder.up.3.block.0.conv1.weight"
    with pytest.raises(ValueError, match=r"VQGAN decoder of .* does not fit: .*block\.0\.conv1\.weight"):
        fewpass.load(changed(folders["anole"], tmp_path / "c", without(part)), device="cpu")


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("anole", (64, 96), "draws 64x64 only, not 64x96"),
        ("lumina", (64, 80), "multiples of 32, not 64x80"),
        ("lumina", (64, 32 * 13), "has no tokens for the size 64x416"),
        ("lumina", (64 * 3, 64 * 3), "reads 160 tokens"),
    ],
)
def test_unsupported_sizes_are_refused(pipes, name, size, message):
    with pytest.raises(ValueError, match=message):
        pipes[name]("a cat", size=size)
