"""The bundled model: its prompts, its checkpoint, its training scenes and its layers in training."""

import hashlib
import importlib
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, JanusConfig, JanusForConditionalGeneration

from fewpass.models import emoji
from training.scenes import KINDS, Scene, held_out_prompts, parse, vocabulary

CHECKPOINT = Path(emoji.__file__).parent / "checkpoint"


@pytest.fixture(scope="module")
def training():
    """Import a module of the recipe; skips the test where it is missing, as in the wheel."""
    return lambda name: pytest.importorskip(f"training.{name}")


# --- prompts


@pytest.mark.parametrize("kind", KINDS)
def test_every_prompt_reads_back_as_its_scene(training, kind):
    recipe = training("prompts")
    for scene in islice(recipe.scenes(kind), 0, None, 997 if kind == "relation" else 7):
        assert parse(recipe.prompt_of(scene)) == parse(recipe.plain_prompt(scene)) == scene


def test_articles(training):
    scene = parse("a orange heart above a apple on a grey background")
    assert training("prompts").prompt_of(scene) == "an orange heart above an apple on a grey background"


@pytest.mark.parametrize(
    ("prompt", "offender"),
    [
        ("a dragon on a red background", "dragon"),
        ("a cat on a mauve background", "mauve"),
        ("five cats on a red background", "five cats"),
        ("two cat on a red background", "cat"),
        ("a cat", "a cat"),
    ],
)
def test_error_names_the_invalid_part_of_a_prompt(prompt, offender):
    with pytest.raises(ValueError, match=offender):
        parse(prompt)


def test_held_out_is_decided_by_the_plain_prompt_or_its_mirror(training):
    recipe = training("prompts")

    def unlucky(prompt):
        return int(hashlib.sha256(prompt.encode()).hexdigest(), 16) % 10 == 0

    words = vocabulary()
    apple, owl = (thing for name in ("apple", "owl") for thing in words.things if thing.name == name)
    for background in words.backgrounds:
        for relation, other in recipe.MIRROR.items():
            one = f"a apple {relation} a owl on a {background} background"
            two = f"a owl {other} a apple on a {background} background"
            scene = Scene(background, (apple, owl), relation=relation)
            assert recipe.held_out(scene) == recipe.held_out(parse(two)) == (unlucky(one) or unlucky(two))


def test_the_scored_prompts_are_held_out_and_drawable(training):
    recipe = training("prompts")
    listed = [parse(prompt) for prompt in held_out_prompts()]
    assert [sum(scene.kind == kind for scene in listed) for kind in KINDS] == [67, 67, 66]
    assert len(set(listed)) == 200
    assert all(recipe.held_out(scene) and recipe.drawable(scene) for scene in listed)


# --- checkpoint


def test_checkpoint_is_small_and_its_numbers_agree():
    assert sum(file.stat().st_size for file in CHECKPOINT.iterdir()) <= 48_000_000
    config = JanusConfig.from_pretrained(CHECKPOINT)
    assert config.vision_config.num_image_tokens == config.vq_config.num_patches**2
    assert AutoTokenizer.from_pretrained(CHECKPOINT).vocab_size == config.text_config.vocab_size


def test_tokenizer_has_the_vocabulary(training):
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    recipe = training("prompts")
    prompts = [recipe.prompt_of(random.Random(0).choice(list(islice(recipe.scenes(kind), 500)))) for kind in KINDS]
    for prompt in prompts:
        ids = tokenizer(prompt + tokenizer.boi_token)["input_ids"]
        assert ids[0] == tokenizer.bos_token_id
        assert ids[-1] == tokenizer.convert_tokens_to_ids(tokenizer.boi_token)
        assert len(ids) == len(prompt.split()) + 2
        assert tokenizer.unk_token_id not in ids
    assert tokenizer("A Dragon")["input_ids"][1:] == [*tokenizer("a")["input_ids"][1:], tokenizer.unk_token_id]


@pytest.mark.filterwarnings("ignore")
def test_transformers_own_generate_draws():
    model = JanusForConditionalGeneration.from_pretrained(CHECKPOINT).eval()
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    inputs = tokenizer(["a cat on a grey background<begin_of_image>"], return_tensors="pt")
    tokens = model.generate(inputs["input_ids"], inputs["attention_mask"], generation_mode="image")
    assert tokens.shape == (1, model.config.vision_config.num_image_tokens)
    side = model.config.vision_config.image_size
    with torch.no_grad():
        assert model.decode_image_tokens(tokens).shape == (1, side, side, 3)


# --- training


def test_training_scenes_are_never_held_out(training):
    rng, words, recipe = np.random.default_rng(0), training("sampler"), training("prompts")
    drawn = [words.random_scene(rng) for _ in range(300)]
    assert {scene.kind for scene in drawn} == set(KINDS)
    assert all(recipe.drawable(scene) and not recipe.held_out(scene) for scene in drawn)


@pytest.mark.parametrize("name", ["cpu", "full"])
def test_objects_keep_their_distance_and_the_relation(training, name):
    preset, rng = training("presets").PRESETS[name], np.random.default_rng(0)
    for _ in range(100):
        scene = training("sampler").random_scene(rng)
        placed = training("render").place(scene, preset, rng)
        for a in placed:
            assert 0 <= min(a.x, a.y) <= max(a.x, a.y) <= preset.image - a.size
            assert a.x % preset.align == a.y % preset.align == 0
            assert all(max(abs(a.x - b.x), abs(a.y - b.y)) >= a.size + preset.gap for b in placed if b is not a)
        if scene.relation == "above":
            assert placed[1].y - placed[0].y > placed[0].size


def test_unconditional_prompts_keep_their_frame(training):
    words = importlib.import_module("training.words")
    ids = words.encode("a cat on a grey background")
    special = words.token_ids()
    assert words.unconditional(ids) == [special[words.BOS], *[special[words.PAD]] * 6, special[words.BOI]]
    with pytest.raises(ValueError, match="dragon"):
        words.encode("a dragon")


def test_checkpoints_survive_in_parts(training, tmp_path, monkeypatch):
    checkpoint = training("checkpoint")
    monkeypatch.setattr(checkpoint, "PART", 1000)
    for value in (1.0, 2.0):
        checkpoint.save({"x": torch.full((500,), value)}, tmp_path / "last")
    assert len(list((tmp_path / "last").iterdir())) > 2
    assert checkpoint.load(tmp_path / "last")["x"].eq(2.0).all()
    assert checkpoint.load(tmp_path / "none") is None


def test_skipped_blocks_give_the_same_results_in_transformers(training):
    preset = training("presets").PRESETS["cpu"]
    vq = training("architecture").new_vq(preset).eval()
    plain = type(vq)(vq.config).eval()
    plain.load_state_dict(vq.state_dict())
    x = torch.rand(1, 3, preset.image, preset.image) * 2 - 1
    with torch.no_grad():
        assert torch.equal(vq.encode(x).image_tokens, plain.encode(x).image_tokens)
        assert torch.equal(training("pool").encode_images(vq, x)[0], plain.encode(x).image_tokens)
        tokens = torch.randint(preset.codes, (1, preset.rows**2))
        torch.testing.assert_close(vq.decode(tokens), plain.decode(tokens))
