"""Emu3-Gen: tokens, prompts, layout and pixels as transformers has them."""

import json
import shutil

import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoTokenizer, Emu3ForConditionalGeneration, Emu3ImageProcessor, Emu3Processor, GPT2Tokenizer

import fewpass
from tests.families import write_emu3

PROMPTS = ["a cat on the moon", "dog", "the moon"]
ROWS, COLS = 3, 4
STYLE = " masterpiece, film grained, best quality."  # these and the next are in the authors' image_generation.py
AGAINST = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality, "
    "low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry."
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_emu3(tmp_path_factory.mktemp("emu3"))


@pytest.fixture(scope="module")
def pipe(folder):
    return fewpass.load(folder, device="cpu")


@pytest.fixture(scope="module")
def processor(pipe):
    images = Emu3ImageProcessor(image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return Emu3Processor(images, pipe.model.tokenizer)


def inputs_of(processor, text):
    return processor(
        text=text,
        return_for_image_generation=True,
        ratio=f"{COLS}:{ROWS}",
        image_area=64 * ROWS * COLS,
        padding=True,
        return_tensors="pt",
    )


def converted_tokenizer(folder):
    """As the conversion to transformers' format writes it: bytes and a few merges, GPT-2's splits, no normalisation."""
    letters = sorted(ByteLevel.alphabet())
    merges = [("-", "s"), ("-s", "h"), (".", "S"), ("Ã", "©"), ("1", "2")]
    special = ["<|endoftext|>", "<|extra_203|>", "<|extra_204|>", "<|image start|>", "<|image token|>"]
    words = [*letters, *("".join(pair) for pair in merges), *special]
    GPT2Tokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=merges,
        bos_token="<|extra_203|>",
        eos_token="<|extra_204|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"boi_token": "<|image start|>", "image_wrapper_token": "<|image token|>"},
    ).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def published(model, processor, inputs, negative, **options):
    """The recipe in transformers' documentation: a function that says which words may follow."""
    tokenizer, (height, width) = processor.tokenizer, inputs.pop("image_sizes")[0]
    wrapper, eol, eof, eoi, eos, pad = tokenizer.convert_tokens_to_ids(
        ["<|image token|>", "<|extra_200|>", "<|extra_201|>", "<|image end|>", "<|extra_204|>", "<pad>"]
    )
    codes = model.model.vocabulary_mapping.image_tokens

    def allowed(image, ids):
        offset = len(ids) - int((ids == wrapper).nonzero()[0])
        closing = {(width + 1) * height + n: word for n, word in enumerate((eof, eoi, eos), start=1)}
        if offset > max(closing):
            return [pad]
        return [eol] if offset % (width + 1) == 0 else [closing[offset]] if offset in closing else codes

    return model.generate(
        **inputs,
        max_new_tokens=(width + 1) * height + 3,
        prefix_allowed_tokens_fn=allowed,
        negative_prompt_ids=negative.input_ids,
        negative_prompt_attention_mask=negative.attention_mask,
        **options,
    )


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_tokens_are_those_of_transformers(folder, pipe, processor, guidance):
    model = Emu3ForConditionalGeneration.from_pretrained(folder)
    inputs, negative = inputs_of(processor, PROMPTS), inputs_of(processor, ["dog", "a", "a dog on the moon"])
    expected = published(model, processor, dict(inputs), negative, do_sample=False, guidance_scale=guidance)
    assert len({tuple(row) for row in expected[:, inputs.input_ids.shape[1] :].tolist()}) > 1
    drawn = fewpass.generate(
        model,
        **inputs,
        decoder="jacobi(window=8)",
        guidance_scale=guidance,
        negative_prompt_ids=negative.input_ids,
        negative_prompt_attention_mask=negative.attention_mask,
    )
    assert drawn.tolist() == expected.tolist()
    image = drawn[:, -ROWS * (COLS + 1) - 3 :]
    pixels = model.decode_image_tokens(image_tokens=image, height=ROWS, width=COLS)
    assert pixels.shape == (3, 3, 8 * ROWS, 8 * COLS)


def test_prompt_ids_are_those_of_the_processor(pipe, processor):
    grid = pipe.model.grid((8 * COLS, 8 * ROWS))
    for prompt in PROMPTS:
        (expected,) = inputs_of(processor, [prompt + STYLE]).input_ids.tolist()
        assert pipe.model.prompt_ids(prompt, grid).tolist() == expected


@pytest.fixture
def converted(pipe, tmp_path):
    return fewpass.wrap(pipe.model.model, converted_tokenizer(tmp_path)).model


@pytest.mark.parametrize(
    ("text", "pieces"),
    [  # by the pattern of the authors' tokenizer, with tiktoken and these merges
        ("a T-shirt", ["a", "Ġ", "T", "-sh", "i", "r", "t"]),
        ("Mr.Smith", ["M", "r", ".S", "m", "i", "t", "h"]),
        ("cafe\u0301", ["c", "a", "f", "Ã©"]),
        ("12", ["1", "2"]),
    ],
)
def test_converted_tokenizer_splits_as_the_authors_own(converted, tmp_path, text, pieces):
    own = converted_tokenizer(tmp_path)
    assert own.tokenize(text) != pieces
    assert converted.tokenizer.tokenize(text) == pieces
    fewpass.wrap(converted.model, own)
    assert own.tokenize(text) != pieces, "a tokenizer in other hands stays as it is"


def test_converted_tokenizer_is_noted_once(pipe, tmp_path, caplog):
    assert pipe.model.notes == ()
    own = fewpass.wrap(pipe.model.model, converted_tokenizer(tmp_path)).model
    (note,) = own.notes
    assert "its tokenizer splits texts as GPT-2's" in note
    assert caplog.messages == [note]
    assert fewpass.wrap(pipe.model.model, own.tokenizer).model.notes == ()


def test_texts_are_those_of_the_authors_script(converted):
    converted.context = 2**20
    converted.model.resize_token_embeddings(2**10)  # its own are fewer than the words of the tokenizer
    grid, end = converted.grid((8 * COLS, 8 * ROWS)), f"<|image start|>{ROWS}*{COLS}<|image token|>"

    def read(prompt, negative=None):
        return [converted.tokenizer.decode(ids) for ids in converted.read(prompt, negative, grid, 3.0)]

    styled, contrast = f"<|extra_203|>a cat{STYLE}{end}", f"<|extra_203|>{AGAINST}{end}"
    assert read("a cat") == [styled, contrast]
    assert read("a cat" + STYLE) == [styled, contrast], "users of the script add it themselves"
    assert read("<|extra_203|>a cat") == [f"<|extra_203|>a cat{end}", contrast], "as it stands"
    assert read("a cat", "a dog") == [styled, f"<|extra_203|>a dog{end}"]
    assert read("a cat", "") == [styled, f"<|extra_203|>{end}"]
    ids = torch.tensor([5, 6, 7])
    assert converted.read(ids, None, grid, 3.0)[0].tolist() == [5, 6, 7], "token ids are read as they are"


@pytest.mark.parametrize("drop_in", [True, False])
def test_recipe_of_transformers_documentation(folder, processor, drop_in):
    """It takes image_sizes out of the inputs: the size of the image is in the prompt."""
    model = Emu3ForConditionalGeneration.from_pretrained(folder)
    inputs, negative = inputs_of(processor, PROMPTS), inputs_of(processor, ["dog"] * 3)
    expected = published(model, processor, dict(inputs), negative, do_sample=False, guidance_scale=3.0)
    del inputs["image_sizes"]
    asked = {
        **inputs,
        "max_new_tokens": 50_000,
        "prefix_allowed_tokens_fn": lambda image, ids: [0],
        "return_dict_in_generate": True,
        "negative_prompt_ids": negative.input_ids,
        "negative_prompt_attention_mask": negative.attention_mask,
        "guidance_scale": 3.0,
    }
    draw = fewpass.custom_generate("jacobi(window=8)")
    out = model.generate(**asked, custom_generate=draw) if drop_in else fewpass.generate(model, **asked)
    assert out.sequences.tolist() == expected.tolist()


def test_size_in_a_prompt_of_token_ids_is_that_of_the_image(folder, pipe, processor):
    model = Emu3ForConditionalGeneration.from_pretrained(folder)
    inputs = inputs_of(processor, ["a cat"])
    ids, _ = inputs.input_ids, inputs.pop("image_sizes")
    with pytest.raises(ValueError, match="token ids name the size 32x24: request the same"):
        fewpass.generate(model, **inputs, image_sizes=[[4, 3]])
    with pytest.raises(ValueError, match="token ids name the size 32x24: request the same"):
        pipe(ids[0])
    assert pipe(ids[0], size=(32, 24), seed=0, guidance=1).images[0].size == (32, 24)
    huge = processor.tokenizer("<|extra_203|> a <|image start|> 0 * 4 <|image token|>", return_tensors="pt")
    with pytest.raises(ValueError, match="multiples of 8, not 32x0"):
        fewpass.generate(model, **huge)


def test_pictures_are_those_of_the_processor(pipe, processor):
    result = pipe("a cat", size=(8 * COLS, 8 * ROWS), seed=3, negative_prompt="")
    words = pipe.model.words(result.tokens)
    closing = torch.tensor([pipe.model.closing])
    decoded = pipe.model.model.decode_image_tokens(image_tokens=torch.cat([words, closing], 1), height=ROWS, width=COLS)
    (expected,) = processor.postprocess(list(decoded.float()), return_tensors="PIL.Image.Image")["pixel_values"]
    assert result.images[0].size == expected.size == (8 * COLS, 8 * ROWS)
    assert result.images[0].tobytes() == expected.tobytes()


def test_row_ends_are_free(pipe):
    """Each is written before it is asked about, and always kept: 12 tokens in 7 passes, one with the prompt."""
    result = pipe(PROMPTS, size=(8, 48), seed=0, decoder="sjd(window=1)", negative_prompt="", temperature=5.0)
    assert result.tokens.view(3, 6, 2)[..., 1].eq(24).all()
    assert result.trace.passes.max() <= 7


@pytest.mark.parametrize("window", [1, 3, 14])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_fixed_noise_draws_the_images_of_autoregression(pipe, window, guidance):
    same = {"size": (32, 24), "seed": 5, "guidance": guidance}
    drawn, expected = (pipe(PROMPTS, decoder=decoder, **same).tokens for decoder in (f"jacobi({window})", "ar"))
    assert torch.equal(drawn, expected)


def test_defaults_are_those_of_the_authors(pipe):
    settings = pipe("a cat", size=(16, 16), seed=0).settings[0]
    assert (settings["guidance"], settings["top_k"], settings["temperature"]) == (3.0, 2048, 1.0)
    assert pipe.model.grid(None).grids == ((90, 91),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (30, 24)}, "multiples of 8, not 30x24"),
        ({"size": (0, 24)}, "multiples of 8, not 0x24"),
        ({"size": (80, 80)}, r"reads 128 tokens: a prompt of \d+ and an image of 110 do not fit"),
        ({"prompt": "a unicorn", "size": (16, 16)}, "unknown to .*'unicorn'"),
    ],
)
def test_unfit_options_are_refused(pipe, options, message):
    with pytest.raises(ValueError, match=message):
        pipe(**{"prompt": "a cat", **options})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (None, "cannot read the model in"),
        ("<|visual token 000003|>", "no image token for code 3"),
        ("<|extra_200|>", r"the vocabulary has no '<\|extra_200\|>'"),
    ],
)
def test_text_only_checkpoints_are_refused(folder, tmp_path, words, message):
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    known = config["vocabulary_map"]
    config["vocabulary_map"] = words and {word: number for word, number in known.items() if word != words}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        fewpass.load(copy, device="cpu")
