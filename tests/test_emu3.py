"""Emu3-Gen: tokens, prompts, layout and pixels as transformers has them."""

import json
import shutil

import pytest
import torch
from transformers import Emu3ForConditionalGeneration, Emu3ImageProcessor, Emu3Processor

import fewpass
from tests.families import write_emu3

PROMPTS = ["a cat on the moon", "dog", "the moon"]
ROWS, COLS = 3, 4


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
        assert pipe.model.prompt_ids(prompt, grid).tolist() == inputs_of(processor, [prompt]).input_ids[0].tolist()


def test_pictures_are_those_of_the_processor(pipe, processor):
    result = pipe("a cat", size=(8 * COLS, 8 * ROWS), seed=3, negative_prompt="")
    words = pipe.model.words(result.tokens)
    closing = torch.tensor([pipe.model.closing])
    decoded = pipe.model.model.decode_image_tokens(image_tokens=torch.cat([words, closing], 1), height=ROWS, width=COLS)
    (expected,) = processor.postprocess(list(decoded.float()), return_tensors="PIL.Image.Image")["pixel_values"]
    apart = torch.tensor(list(result.images[0].tobytes())) - torch.tensor(list(expected.tobytes()))
    assert result.images[0].size == expected.size == (8 * COLS, 8 * ROWS)
    assert apart.min() >= 0, "the processor cuts where we round"
    assert apart.max() <= 1


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


def test_what_its_authors_draw_with(pipe):
    settings = pipe("a cat", size=(16, 16), seed=0).settings[0]
    assert (settings["guidance"], settings["top_k"], settings["temperature"]) == (3.0, 2048, 1.0)
    assert pipe.model.grid(None).grids == ((90, 91),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (30, 24)}, "multiples of 8, not 30x24"),
        ({"size": (0, 24)}, "multiples of 8, not 0x24"),
        ({"size": (80, 80)}, r"reads 128 tokens: a prompt of \d+ and an image of 110 do not fit"),
        ({"prompt": "a unicorn", "size": (16, 16)}, "has never seen 'unicorn'"),
    ],
)
def test_refusals(pipe, options, message):
    with pytest.raises(ValueError, match=message):
        pipe(**{"prompt": "a cat", **options})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (None, "no image tokens: a text-only checkpoint"),
        ("<|visual token 000003|>", "no image token for code 3"),
        ("<|extra_200|>", r"the vocabulary has no '<\|extra_200\|>'"),
    ],
)
def test_checkpoints_that_do_not_draw(folder, tmp_path, words, message):
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    known = config["vocabulary_map"]
    config["vocabulary_map"] = words and {word: number for word, number in known.items() if word != words}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        fewpass.load(copy, device="cpu")
