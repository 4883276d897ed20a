"""Checkpoints with a damaged JSON file: an image, or one line that names it; never another exception or a hang."""

import copy
import functools
import json
import re
import signal
from contextlib import contextmanager
from datetime import timedelta

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import fewpass
import fewpass.models.checkpoint
from fewpass.models.glm_image import GlmImage
from tests.families import write_anole, write_emu3, write_glm_pipeline, write_janus, write_lumina

FAMILIES = {
    "janus": (write_janus, None),
    "emu3": (write_emu3, (16, 16)),
    "anole": (write_anole, None),
    "lumina": (write_lumina, (64, 64)),
    "glm": (write_glm_pipeline, (64, 64)),
}
SECONDS = 20
GONE = object()
VALUES = (
    *("x", "1", "", "{{ 1/0 }}", "{% if", "\ud800", "flash_attention_2", "../../etc", "/dev/zero", "a" * 9999),
    *(None, True, False, [], {}, [["a"]], {"a": 1}, [None], GONE),
    *(-1, 0, 1, 3, 7, 10**5, 10**9, 10**30, 1.5, -0.5, 1e-300, 1e300, float("nan"), float("inf")),
)
ABSENT = {  # keys that a checkpoint may have and the small ones lack
    "generation_config.json": ("temperature", "top_k", "top_p", "guidance_scale", "eos_token_id", "do_sample"),
    "config.json": ("_attn_implementation", "dtype", "quantization_config", "z_loss_weight", "transformers_weights"),
    "tokenizer_config.json": ("chat_template", "add_bos_token", "added_tokens_decoder", "auto_map"),
    "model_index.json": ("vision_language_encoder", "transformer"),
}
# What decides on the prompt, on how tokens are drawn, or on the network: with another value, another image is right.
EFFECTIVE = re.compile(
    r"tokenizer.*|generation_config\.json:(temperature|top_k|top_p|guidance_scale|.*(bos|pad|boi)_token_id)"
    r"|config\.json:(text_config\.)?(rms_norm_eps|rope_parameters.*|rope_theta|rope_scaling|hidden_act|head_dim"
    r"|bos_token_id|vocabulary_map.*|max_position_embeddings|tie_word_embeddings)"
    r"|config\.json:(architectures.*|z_loss_weight|swin_norm|vq_config\.resolution|vision_config\.num_image_tokens)"
)


class Checkpoint:
    """A small checkpoint of a family, its image, and all the places in its JSON files."""

    def __init__(self, folder, family):
        write, self.size = FAMILIES[family]
        self.folder = write(folder / family)
        self.files = {path: path.read_bytes() for path in sorted(self.folder.rglob("*.json"))}
        self.places = [(path, where) for path, raw in self.files.items() for where in _places(path, json.loads(raw))]
        self.expected = self.drawn().tokens

    def drawn(self):
        pipe = fewpass.load(self.folder, "cpu")
        result = pipe("a cat", size=self.size, seed=1, decoder="jacobi(window=8)")
        grid = pipe.model.grid(self.size)
        assert result.tokens.shape == (1, grid.size)
        assert result.tokens.min() >= 0
        assert result.tokens.max() < grid.vocab
        assert result.images[0].size[1] % grid.rows == 0
        return result

    @contextmanager
    def mutated(self, place, value):
        path, where = place
        content = copy.deepcopy(json.loads(self.files[path]))
        inside = functools.reduce(lambda part, key: part[key], where[:-1], content)
        if value is not GONE:
            inside[where[-1]] = value
        elif isinstance(inside, list) or where[-1] in inside:
            del inside[where[-1]]
        with self.replaced(path, json.dumps(content).encode()):
            yield f"{path.name}:{'.'.join(map(str, where))}"

    @contextmanager
    def replaced(self, path, raw):
        path.write_bytes(raw)
        try:
            with within(SECONDS):
                yield
        finally:
            path.write_bytes(self.files[path])


def _places(path, content, where=()):
    """The keys of all values; of tables of words, some."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for number, (key, value) in enumerate(items):
        if number < 6 or where[-1:] not in (("vocabulary_map",), ("vocab",)):
            yield (*where, key)
            yield from _places(path, value, (*where, key))
    if not where:
        yield from ((key,) for key in ABSENT.get(path.name, ()))


class Hung(BaseException):
    pass


@contextmanager
def within(seconds):
    def stop(*_):
        raise Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_one_line(error, folder):
    text = str(error)
    assert "\n" not in text
    assert len(text.replace(str(folder), "")) < 1000
    assert str(folder) in text, "the checkpoint is named"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """GLM-Image's codes are to_pixels grey: its diffusion decoder is not part of the small checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GlmImage, "check_pictures", lambda model, prompts: None)
        patch.setattr(GlmImage, "pictures", lambda model, tokens, grid, *rest: model.pixels(tokens, grid))
        home = tmp_path_factory.mktemp("fuzz")
        yield functools.cache(lambda family: Checkpoint(home, family))


def fuzz(examples):
    return settings(
        max_examples=examples,
        deadline=timedelta(seconds=SECONDS),
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # a mutation is as small as it gets
        suppress_health_check=list(HealthCheck),
    )


def mutations(data, checkpoint):
    place = data.draw(st.sampled_from(checkpoint.places), label="place")
    return place, data.draw(st.sampled_from(VALUES), label="value")


class Read(BaseException):
    """All that is read before the weights will do."""


@pytest.mark.filterwarnings("ignore")  # transformers warns of values that it does not know
@pytest.mark.parametrize("family", FAMILIES)
def test_mutated_json_is_read_or_refused_in_one_line(family, checkpoints, monkeypatch):
    checkpoint = checkpoints(family)

    def reached(*arguments, **options):
        raise Read

    monkeypatch.setattr(fewpass.models.checkpoint, "check_size", reached)

    @fuzz(300)
    @given(st.data())
    def check(data):
        with checkpoint.mutated(*mutations(data, checkpoint)):
            try:
                fewpass.load(checkpoint.folder, "cpu")
            except Read:
                return
            except ValueError as error:
                check_one_line(error, checkpoint.folder)

    check()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAMILIES)
def test_mutated_json_draws_the_right_image_or_is_refused_in_one_line(family, checkpoints):
    checkpoint = checkpoints(family)

    @fuzz(30)
    @given(st.data())
    def check(data):
        with checkpoint.mutated(*mutations(data, checkpoint)) as key:
            try:
                tokens = checkpoint.drawn().tokens
            except ValueError as error:
                check_one_line(error, checkpoint.folder)
            else:
                assert EFFECTIVE.fullmatch(key) or torch.equal(tokens, checkpoint.expected), key

    check()


DAMAGED = {
    "nothing": b"",
    "half": b'{"model_type": ',
    "a list": b"[1, 2]",
    "a word": b"null",
    "100000 levels": b'{"a": ' * 10**5 + b"1" + b"}" * 10**5,
    "UTF-16": json.dumps({"model_type": "janus"}).encode("utf-16"),
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "Latin-1": '{"a": "ä"}'.encode("latin-1"),
    "a number of 5000 digits": b'{"temperature": ' + b"9" * 5000 + b"}",
    "NaN": b'{"temperature": NaN}',
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
}
READ = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model_index.json")


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("family", FAMILIES)
def test_damaged_json_file_is_refused_in_one_line_that_names_it(family, damage, checkpoints):
    checkpoint = checkpoints(family)
    for path in checkpoint.files:
        assert path.name in READ
        with checkpoint.replaced(path, DAMAGED[damage]), pytest.raises(ValueError, match=path.name) as caught:
            fewpass.load(checkpoint.folder, "cpu")
        check_one_line(caught.value, checkpoint.folder)
        assert "Git LFS" in str(caught.value) or damage != "a Git LFS pointer"


@pytest.mark.parametrize("family", FAMILIES)
def test_folder_in_place_of_a_json_file_is_refused(family, checkpoints):
    checkpoint = checkpoints(family)
    for path in checkpoint.files:
        path.rename(path.with_suffix(".kept"))
        path.mkdir()
        try:
            with pytest.raises(ValueError, match=r"regular file|no tokenizer|unknown model"):
                fewpass.load(checkpoint.folder, "cpu")
        finally:
            path.rmdir()
            path.with_suffix(".kept").rename(path)


SIZES = ("hidden_size", "vocab_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "head_dim")
SIZES += ("num_embeddings", "codebook_size", "num_res_blocks", "base_channels", "latent_channels", "image_size")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAMILIES)
def test_size_that_the_weights_cannot_have_is_refused_before_memory_is_taken(family, checkpoints, monkeypatch):
    checkpoint = checkpoints(family)
    monkeypatch.setattr(fewpass.models.checkpoint, "ABSENT", 2**20)
    places = [place for place in checkpoint.places if place[0].name == "config.json" and place[1][-1] in SIZES]
    assert len(places) > 5
    for place in places:
        with checkpoint.mutated(place, 10**8) as key:
            try:
                assert torch.equal(checkpoint.drawn().tokens, checkpoint.expected), key
            except ValueError as error:
                check_one_line(error, checkpoint.folder)
