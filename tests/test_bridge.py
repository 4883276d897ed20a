"""transformers' `generate` with images drawn by fewpass, and what it cannot take along."""

import copy

import pytest
import torch
from tokenizers import processors
from transformers import (
    AutoTokenizer,
    ChameleonForConditionalGeneration,
    ChameleonProcessor,
    Emu3ForConditionalGeneration,
    GenerationConfig,
    GlmImageForConditionalGeneration,
    JanusForConditionalGeneration,
    LogitsProcessorList,
    MaxTimeCriteria,
    StoppingCriteriaList,
    TextStreamer,
    TopKLogitsWarper,
    TopPLogitsWarper,
    UnbatchedClassifierFreeGuidanceLogitsProcessor,
)
from transformers.models.chameleon.image_processing_pil_chameleon import ChameleonImageProcessorPil

import fewpass
import fewpass.integrations.transformers
from tests.families import (
    CODES,
    chameleon_words,
    write_anole,
    write_emu3,
    write_glm_image,
    write_janus,
    write_lumina,
)

WORDS = chameleon_words()
START = WORDS["<s>"]
DECODER = fewpass.mc_sjd(window=6)
DRAW = fewpass.custom_generate("mc_sjd(window=6)")
EMU3 = {"image_sizes": [[3, 4]]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bridge")
    writers = {"emu3": write_emu3, "chameleon": write_anole, "glm": write_glm_image, "janus": write_janus}
    for name, write in writers.items():
        (folder / name).mkdir()
        write(folder / name)
    return {name: folder / name for name in writers}


@pytest.fixture(scope="module")
def models(folders):
    kinds = {
        "emu3": Emu3ForConditionalGeneration,
        "chameleon": ChameleonForConditionalGeneration,
        "glm": GlmImageForConditionalGeneration,
        "janus": JanusForConditionalGeneration,
    }
    return {name: kind.from_pretrained(folders[name]) for name, kind in kinds.items()}


@pytest.fixture
def emu3(models):
    return models["emu3"]


def padded(*rows):
    """Prompts [B, P], padded on the left, and their mask."""
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def glm_inputs():
    grids = torch.tensor([[1, 3, 4], [1, 2, 2]] * 2)
    return {
        **padded([40, 41, 42, CODES], [43, CODES]),
        "image_grid_thw": grids,
        "images_per_sample": torch.tensor([2, 2]),
    }


def inputs_of(name):
    boi = WORDS["<racm3:break>"]
    return {
        "emu3": {**padded([5, 6, 7], [8]), **EMU3},
        "chameleon": padded([START, WORDS["cat"], WORDS["moon"], boi], [START, WORDS["dog"], boi]),
        "glm": glm_inputs(),
        "janus": padded([1, 7, 8, 9, 4], [1, 10, 4]),
    }[name]


@pytest.mark.parametrize(("name", "new"), [("emu3", 15 + 3), ("chameleon", 16 + 1), ("glm", 4 + 12 + 1)])
def test_the_drop_in_returns_prompts_and_tokens(models, name, new):
    inputs, law = inputs_of(name), {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    sample = {**law, "max_new_tokens": 40, "seed": 7}
    model = models[name]
    drawn = model.generate(**inputs, **sample, custom_generate=DRAW)
    assert torch.equal(drawn[:, :-new], inputs["input_ids"])
    assert not drawn.is_inference()
    again = fewpass.generate(model, **inputs, **sample, decoder=DECODER)
    assert torch.equal(drawn, again)
    second = {key: value[1:2] for key, value in padded([8]).items()} | {"input_ids": inputs["input_ids"][1:]}
    second |= {"attention_mask": inputs["attention_mask"][1:], **(EMU3 if name == "emu3" else {})}
    if name == "glm":
        second |= {"image_grid_thw": inputs["image_grid_thw"][:2], "images_per_sample": torch.tensor([2])}
    alone = model.generate(**second, **{**sample, "seed": 8}, custom_generate=DRAW)
    assert torch.equal(alone[0], drawn[1]), "an image depends on its seed and prompt only"


def test_it_draws_what_a_pipeline_draws(emu3):
    """With the same law: temperature, top-k, top-p, min-p and guidance are read from what generate prepares."""
    ids = torch.tensor([5, 6, 7])
    own = {"temperature": 0.8, "top_k": 5, "top_p": 0.9, "min_p": 0.3}
    negative = {"negative_prompt_ids": torch.tensor([[9, 9]])}
    asked = {**EMU3, **own, **negative, "guidance_scale": 2.0, "do_sample": True, "max_new_tokens": 18}
    drawn = emu3.generate(ids[None], **asked, seed=3, custom_generate=DRAW)
    pipe = fewpass.wrap(emu3)
    same = pipe(ids, size=(32, 24), decoder=DECODER, guidance=2.0, negative_prompt=torch.tensor([9, 9]), seed=3, **own)
    assert torch.equal(pipe.model.vocabulary_ids(same.tokens), drawn[:, 3:-3])
    other = pipe(ids, size=(32, 24), decoder=DECODER, guidance=1.0, seed=3, **own)
    assert not torch.equal(same.tokens, other.tokens)


def test_without_a_seed_one_number_comes_from_torch(emu3):
    inputs, sample = inputs_of("emu3"), {"do_sample": True, "max_new_tokens": 18, "custom_generate": DRAW}
    torch.manual_seed(0)
    first, rest = emu3.generate(**inputs, **sample), torch.rand(3)
    second = emu3.generate(**inputs, **sample)
    torch.manual_seed(0)
    assert torch.equal(emu3.generate(**inputs, **sample), first)
    assert torch.equal(torch.rand(3), rest)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    torch.randint(2**62, ())
    assert torch.equal(torch.rand(3), rest)


def test_drawn_seeds_are_below_2_to_the_48(emu3, monkeypatch):
    seen = []
    monkeypatch.setattr(
        fewpass.integrations.transformers.torch, "randint", lambda below, shape: torch.tensor(below - 1)
    )
    monkeypatch.setattr(
        "fewpass.engine.seeds.assign", lambda first, images: seen.append(first) or range(first, first + images)
    )
    emu3.generate(**inputs_of("emu3"), do_sample=True, max_new_tokens=18, custom_generate=DRAW)
    assert seen == [2**48 - 2**40 - 1]


def test_processors_are_read_and_not_called(emu3):
    guide = UnbatchedClassifierFreeGuidanceLogitsProcessor(3.0, emu3, unconditional_ids=torch.tensor([[9], [9]]))
    asked = {**inputs_of("emu3"), "logits_processor": LogitsProcessorList([guide]), "max_new_tokens": 18}
    emu3.generate(**asked, custom_generate=DRAW)
    assert guide.unconditional_context["first_pass"]
    context = guide.unconditional_context
    assert [context[name] for name in ("cache", "past_key_values") if name in context] == [None]


@pytest.mark.parametrize("name", ["emu3", "glm", "janus"])
def test_several_images_of_each_prompt(models, name):
    inputs = inputs_of(name)
    sample = {"do_sample": True, "seed": [1, 2, 3, 4], "guidance_scale": None if name == "glm" else 2.0}
    drawn = fewpass.generate(models[name], **inputs, **sample, num_return_sequences=2)
    twice = {
        key: value.repeat_interleave(2, 0) for key, value in inputs.items() if key in ("input_ids", "attention_mask")
    }
    if name == "glm":
        twice |= {"image_grid_thw": inputs["image_grid_thw"].repeat(2, 1), "images_per_sample": torch.tensor([2] * 4)}
    expected = fewpass.generate(models[name], **{**inputs, **twice}, **sample)
    assert torch.equal(drawn, expected)


def test_negative_prompts_are_shared_or_one_each(emu3):
    same = {**inputs_of("emu3"), "guidance_scale": 3.0, "do_sample": True, "seed": 0}
    one, two = padded([9]), padded([9], [9])
    shared, each = (
        fewpass.generate(
            emu3, **same, negative_prompt_ids=n["input_ids"], negative_prompt_attention_mask=n["attention_mask"]
        )
        for n in (one, two)
    )
    assert torch.equal(shared, each)
    with pytest.raises(ValueError, match="3 negative prompts for 2 images"):
        fewpass.generate(emu3, **same, negative_prompt_ids=torch.tensor([[9], [9], [9]]))


def test_a_chameleon_prompt_without_a_header_gets_one(models):
    ids = torch.tensor([[START, WORDS["cat"], WORDS["<reserved08706>"]]])
    drawn = models["chameleon"].generate(ids, max_new_tokens=18, custom_generate=DRAW)
    headed = torch.cat([ids, torch.tensor([[WORDS["<racm3:break>"]]])], 1)
    assert torch.equal(drawn, models["chameleon"].generate(headed, max_new_tokens=18, custom_generate=DRAW))
    assert drawn[0, -1] == WORDS["<eoss>"]


def test_a_chameleon_processor_and_a_pipeline_read_the_same_prompt(models, folders):
    tokenizer = AutoTokenizer.from_pretrained(folders["chameleon"])
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", START)]
    )  # as in the published checkpoints
    prepared = ChameleonProcessor(ChameleonImageProcessorPil(), tokenizer)(text="a cat", return_tensors="pt")
    pipe = fewpass.wrap(models["chameleon"], tokenizer)
    read = pipe.model.prompt_ids("a cat", pipe.model.grid(None))
    assert prepared["input_ids"].tolist() == [read[:-1].tolist()]
    drawn = models["chameleon"].generate(**prepared, max_new_tokens=18, guidance_scale=3.0, custom_generate=DRAW)
    same = pipe("a cat", temperature=0, guidance=3.0, seed=0).tokens
    assert torch.equal(drawn[:, len(read) : -1], pipe.model.vocabulary_ids(same))


@pytest.mark.parametrize("guidance", [2.0, 5.0])
def test_greedy_janus_is_that_of_transformers(models, guidance):
    inputs = inputs_of("janus")
    greedy = {"do_sample": False, "guidance_scale": guidance, "generation_mode": "image"}
    expected = models["janus"].generate(**inputs, **greedy)
    drawn = fewpass.generate(models["janus"], **inputs, **greedy, decoder="jacobi(window=5)")
    assert drawn.shape == (2, 16)
    assert torch.equal(drawn, expected)


@pytest.mark.parametrize("name", ["emu3", "chameleon", "glm", "janus"])
def test_return_dict_gives_the_sequences(models, name):
    asked = {**inputs_of(name), "seed": 0, "max_new_tokens": 40}
    expected = fewpass.generate(models[name], **asked)
    assert torch.equal(fewpass.generate(models[name], **asked, return_dict_in_generate=True).sequences, expected)
    if name != "janus":
        drawn = models[name].generate(**asked, return_dict_in_generate=True, custom_generate=fewpass.custom_generate())
        assert torch.equal(drawn.sequences, expected)


def test_default_decoder_of_generate_and_custom_generate_is_that_of_a_pipeline(emu3):
    ids, asked = torch.tensor([5, 6, 7]), {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 3}
    expected = fewpass.wrap(emu3)(ids, size=(32, 24), guidance=1.0, temperature=1.0, top_k=0, top_p=1.0, seed=3)
    assert expected.settings[0]["decoder"] == "jacobi_ngram(window=16, branches=0)"
    words = fewpass.wrap(emu3).model.vocabulary_ids(expected.tokens)
    passes = []
    asked |= {"max_new_tokens": 18, "on_step": lambda canvas: passes.append(canvas.lengths), **EMU3}
    assert torch.equal(fewpass.generate(emu3, input_ids=ids[None], **asked)[:, 3:-3], words)
    drawn = emu3.generate(ids[None], **asked, custom_generate=fewpass.custom_generate())
    assert torch.equal(drawn[:, 3:-3], words)
    half = len(passes) // 2
    assert passes[:half] == passes[half:]  # the windows of one decoder


def test_decoder_of_custom_generate_is_read_at_once():
    with pytest.raises(ValueError, match=r"^unknown decoder 'nothing'"):
        fewpass.custom_generate("nothing")


def test_decoder_is_not_callable():
    assert not callable(DECODER)


@pytest.mark.parametrize("name", ["emu3", "janus"])
def test_generation_mode_other_than_image_is_refused(models, name):
    asked = {**inputs_of(name), "seed": 0}
    with pytest.raises(ValueError, match=r"^generation_mode='text' is not supported"):
        fewpass.generate(models[name], **asked, generation_mode="text")
    drawn = fewpass.generate(models[name], **asked, generation_mode="image")
    assert torch.equal(drawn, fewpass.generate(models[name], **asked))


def test_size_of_the_image_is_asked_for_where_the_inputs_do_not_say(models):
    glm = {name: value for name, value in glm_inputs().items() if name in ("input_ids", "attention_mask")}
    with pytest.raises(ValueError, match="there is no image_grid_thw, nor width and height, among the inputs"):
        fewpass.generate(models["glm"], **glm)
    assert fewpass.generate(models["glm"], **glm, seed=0, width=128, height=96).shape[1] > 12
    with pytest.raises(ValueError, match=r"draws \d+x\d+ only, not 64x32"):
        fewpass.generate(models["janus"], **inputs_of("janus"), width=64, height=32)


def test_janus_has_no_place_for_a_decoder(models):
    with pytest.raises(ValueError, match=r"codes that are no tokens of its vocabulary: call fewpass\.generate"):
        models["janus"].generate(**inputs_of("janus"), max_new_tokens=40, custom_generate=DRAW)


def test_the_size_in_pixels_and_the_models_own(emu3):
    ids = {"input_ids": torch.tensor([[5, 6]]), "do_sample": True, "seed": 0}
    told = fewpass.generate(emu3, **ids, **EMU3)
    assert torch.equal(fewpass.generate(emu3, **ids, width=32, height=24), told)
    with pytest.raises(ValueError, match="reads 128 tokens"):
        fewpass.generate(emu3, **ids)
    with pytest.raises(ValueError, match="width and height, or neither"):
        fewpass.generate(emu3, **ids, width=32)


def test_size_in_a_lumina_prompt_is_that_of_the_image(tmp_path):
    pipe = fewpass.load(write_lumina(tmp_path), "cpu")
    ids, new = pipe.model.prompt_ids("a cat", pipe.model.grid((64, 32))), 2 * 5 + 1
    assert fewpass.generate(pipe.model.model, input_ids=ids[None]).shape == (1, len(ids) + new)
    assert pipe(ids, size=(64, 32), seed=0).images[0].size == (64, 32)
    for draw in (
        lambda: pipe(ids, size=(32, 64)),
        lambda: fewpass.generate(pipe.model.model, input_ids=ids[None], width=32, height=64),
    ):
        with pytest.raises(ValueError, match="token ids name the size 64x32: request the same"):
            draw()


def test_every_pass_is_shown(emu3):
    lengths = []
    fewpass.generate(emu3, **inputs_of("emu3"), decoder="ar", on_step=lambda canvas: lengths.append(canvas.lengths))
    assert lengths == [[n, n] for n in range(1, 16)]


def test_what_is_left_open_is_the_models_own(emu3, monkeypatch):
    asked = {}
    monkeypatch.setattr(emu3, "generate", lambda **options: asked.update(options))
    fewpass.generate(emu3, **inputs_of("emu3"), do_sample=True, temperature=0.5)
    assert (asked["top_k"], asked["temperature"], asked["max_length"] > 8193) == (2048, 0.5, True)


class Mine(TopKLogitsWarper):
    pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repetition_penalty": 1.2}, "RepetitionPenaltyLogitsProcessor works on one token at a time"),
        ({"typical_p": 0.1, "do_sample": True}, "TypicalLogitsWarper works on one token"),
        ({"logits_processor": LogitsProcessorList([Mine(3)])}, "Mine works on one token"),
        (
            {"logits_processor": LogitsProcessorList([TopKLogitsWarper(3)]), "do_sample": True, "top_k": 50},
            "there twice",
        ),
        ({"logits_processor": LogitsProcessorList([TopPLogitsWarper(0.5)]), "do_sample": True}, "in this order"),
        ({"stopping_criteria": StoppingCriteriaList([MaxTimeCriteria(9.0)])}, "MaxTimeCriteria is not supported"),
        ({"num_beams": 2}, "no beam search"),
        ({"return_dict_in_generate": True, "output_scores": True}, "^output_scores=True is not supported"),
        ({"return_dict_in_generate": True, "output_logits": True}, "^output_logits=True is not supported"),
        ({"max_new_tokens": 17}, "takes 18 new tokens, more than max_new_tokens=17"),
        ({"image_sizes": [[3, 4], [4, 3]]}, r"one size, not \[\(3, 4\), \(4, 3\)\]"),
        ({"image_sizes": None, "width": 30, "height": 24}, "multiples of 8"),
        ({"seed": [1, 2, 3]}, "3 seeds for 2 images"),
    ],
)
def test_what_is_refused(emu3, options, message):
    with pytest.raises(ValueError, match=message):
        emu3.generate(**{"max_new_tokens": 40, **inputs_of("emu3"), **options}, custom_generate=DRAW)


def test_images_in_a_prompt_are_refused(models):
    pixels = {"pixel_values": torch.zeros(4, 3 * 16 * 16)}
    with pytest.raises(ValueError, match="draws from texts only"):
        fewpass.generate(models["glm"], **glm_inputs(), **pixels)
    features = {"mm_encoder_outputs": {"image": torch.zeros(1)}}
    with pytest.raises(ValueError, match="draws from texts only"):
        models["glm"].generate(**glm_inputs(), **features, max_new_tokens=40, custom_generate=DRAW)


@pytest.mark.parametrize(
    "name",
    [
        *("streamer", "assistant_model", "tokenizer", "synced_gpus", "custom_generate"),
        *("inputs_embeds", "cache", "past_key_values", "position_ids"),
    ],
)
@pytest.mark.parametrize("family", ["emu3", "janus"])
def test_what_generate_would_lose(models, family, name):
    value = TextStreamer(None) if name == "streamer" else True
    with pytest.raises(ValueError, match=f"{name} has no effect on how fewpass draws"):
        fewpass.generate(models[family], **inputs_of(family), **{name: value})


def test_prompts_that_are_no_token_ids(models, emu3):
    embeds = {"inputs_embeds": torch.zeros(1, 3, 32), "max_new_tokens": 40, "custom_generate": DRAW}
    with pytest.raises(ValueError, match="inputs_embeds has no effect"):
        emu3.generate(**embeds, **EMU3)
    for name in ("emu3", "janus"):
        with pytest.raises(ValueError, match="there are no input_ids"):
            fewpass.generate(models[name], **inputs_of(name) | {key: torch.zeros(1, 0).long() for key in padded([1])})


@pytest.mark.parametrize(("name", "new"), [("emu3", 18), ("chameleon", 17), ("glm", 17), ("janus", 16)])
def test_a_length_that_the_image_has_not(models, name, new):
    inputs = {**inputs_of(name), "seed": 0}
    whole = inputs["input_ids"].shape[1] + new
    for short in ({"max_length": whole - 1}, {"generation_config": GenerationConfig(max_length=whole - 1)}):
        with pytest.raises(ValueError, match=f"image take {whole} tokens, more than max_length={whole - 1}"):
            fewpass.generate(models[name], **inputs, **short)
    drawn = fewpass.generate(models[name], **inputs, max_length=whole)
    assert torch.equal(drawn, fewpass.generate(models[name], **inputs))


REFUSED = {
    "repetition_penalty": 9.0,
    "typical_p": 0.5,
    "epsilon_cutoff": 0.1,
    "no_repeat_ngram_size": 2,
    "suppress_tokens": [3],
    "bad_words_ids": [[3]],
    "max_time": 1.0,
    "min_new_tokens": 3,
    "penalty_alpha": 0.6,
}


@pytest.mark.parametrize("name", REFUSED)
def test_janus_refuses_options_as_other_families_do(models, name):
    inputs, option = {**inputs_of("janus"), "do_sample": True}, {name: REFUSED[name]}
    reason = "works on one token at a time|MaxTimeCriteria is not supported|penalty_alpha=0.6 is another way"
    with pytest.raises(ValueError, match=reason):
        fewpass.generate(models["janus"], **inputs, **option)
    config = copy.deepcopy(models["janus"].generation_config)
    config.update(**option)
    with pytest.raises(ValueError, match=reason):
        fewpass.generate(models["janus"], **inputs, generation_config=config)


@pytest.mark.parametrize("way", ["penalty_alpha", "prompt_lookup_num_tokens"])
def test_other_ways_of_decoding(models, way):
    ids = {"input_ids": torch.tensor([[5, 6]]), way: 1}
    with pytest.raises(ValueError, match=f"{way}=1 is another way"):
        models["emu3"].generate(**ids, **EMU3, max_new_tokens=40, custom_generate=DRAW)
    for name in ("emu3", "janus"):
        with pytest.raises(ValueError, match=f"{way}=1 is another way"):
            fewpass.generate(models[name], **ids, **(EMU3 if name == "emu3" else {}))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("janus", {"input_ids": torch.zeros(1, 1, 1, dtype=torch.long)}, r"^input_ids must be a tensor \[B, P\]"),
        ("janus", {"input_ids": [[1, 2]]}, r"^input_ids must be a tensor \[B, P\] of token ids, got \[\[1, 2\]\]"),
        ("emu3", {"input_ids": torch.zeros(3, dtype=torch.long)}, r"^input_ids must be a tensor \[B, P\]"),
        (
            "emu3",
            {"negative_prompt_ids": [1]},
            r"^negative_prompt_ids must be a tensor \[B, P\] of token ids, got \[1\]",
        ),
        ("emu3", {"image_sizes": "big"}, r"^image_sizes must be \(rows, columns\) of codes for each image, got 'big'"),
        ("emu3", {"image_sizes": 3}, r"^image_sizes must be .* got 3$"),
    ],
)
def test_inputs_of_other_shapes_are_one_line(models, name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        fewpass.generate(models[name], **{**inputs_of(name), **options})
    assert "\n" not in str(error.value)
