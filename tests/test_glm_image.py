"""GLM-Image: a preview, then the picture, at places in time and space as transformers has them."""

import sys
import types

import numpy as np
import pytest
import torch
from transformers import GlmImageForConditionalGeneration, GlmImageProcessor
from transformers.models.glm_image.image_processing_pil_glm_image import GlmImageImageProcessorPil

import fewpass
import fewpass.models.glm_image.diffusion
from fewpass import Grid
from tests.families import CODES, write_glm_image, write_glm_pipeline

PROMPTS = ["a cat on the moon", "dog", "the moon"]
SIZE = (128, 96)
BEYOND = list(range(CODES, CODES + 8))  # words of the head that are no codes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_glm_pipeline(tmp_path_factory.mktemp("glm"))


@pytest.fixture(scope="module")
def pipe(folder):
    return fewpass.load(folder, device="cpu")


@pytest.fixture(scope="module")
def model(folder):
    return GlmImageForConditionalGeneration.from_pretrained(folder / "vision_language_encoder")


@pytest.fixture(scope="module")
def processor(pipe):
    own = pipe.model.tokenizer
    return GlmImageProcessor(GlmImageImageProcessorPil(), own, chat_template=own.chat_template)


def inputs_of(processor, prompts):
    messages = [[{"role": "user", "content": [{"type": "text", "text": prompt}]}] for prompt in prompts]
    return processor.apply_chat_template(
        messages,
        tokenize=True,
        padding=True,
        target_w=SIZE[0],
        target_h=SIZE[1],
        return_dict=True,
        return_tensors="pt",
    )


def test_greedy_tokens_are_those_of_transformers(pipe, model, processor):
    inputs = inputs_of(processor, PROMPTS)
    size = pipe.model.grid(SIZE).size
    greedy = {"do_sample": False, "max_new_tokens": size + 1}
    expected = model.generate(**inputs, **greedy, suppress_tokens=BEYOND)[:, :-1]
    drawn = fewpass.generate(model, **inputs, **greedy, decoder="jacobi(window=16)")
    assert len({tuple(row) for row in expected[:, inputs.input_ids.shape[1] :].tolist()}) > 1
    assert drawn[:, :-1].tolist() == expected.tolist()
    assert drawn[:, -1].eq(CODES + 1).all()


def test_prompt_ids_are_those_of_the_processor(pipe, processor):
    grid = pipe.model.grid(SIZE)
    for prompt in PROMPTS:
        assert pipe.model.prompt_ids(prompt, grid).tolist() == inputs_of(processor, [prompt]).input_ids[0].tolist()


@pytest.mark.parametrize("size", [(128, 96), (1024, 1024), (1152, 768), (64, 256)])
def test_grids_are_those_of_the_processor(pipe, processor, size):
    rows, cols, small_rows, small_cols = processor._get_target_shape(height=size[1], width=size[0])
    grid = pipe.model.grid(size)
    assert grid.grids == ((small_rows, small_cols), (rows, cols))
    assert (grid.start, grid.size) == (small_rows * small_cols, small_rows * small_cols + rows * cols)


def test_neighbours_are_those_in_the_same_grid():
    into, width = Grid(3, 4, CODES, before=((2, 5), (1, 2))).locate(torch.arange(24))
    assert into.tolist() == [*range(10), *range(2), *range(12)]
    assert width.tolist() == [5] * 10 + [2] * 2 + [4] * 12


@pytest.mark.parametrize("window", [1, 4, 17])
def test_fixed_noise_draws_the_images_of_autoregression(pipe, window):
    grid, own = Grid(3, 4, CODES, before=((2, 5),)), pipe.model
    law, seeds = fewpass.Sampling(), torch.arange(3)
    tokens = []
    for decoder in (fewpass.ar(), fewpass.jacobi(window, guess="above")):
        *_, canvas = fewpass.decode(own.open(PROMPTS, grid, 1.0, [None] * 3), decoder, law, seeds)
        tokens.append(canvas.tokens[:, : grid.size])
    assert torch.equal(*tokens)


class Diffusion:
    """Stands for diffusers' pipeline: paints every code as a square of its own grey, and says what it was given."""

    calls: list[dict]

    @classmethod
    def from_pretrained(cls, folder, **options):
        loaded = cls()
        loaded.loaded, loaded.calls = (folder, options), []
        return loaded

    def to(self, device):
        return self

    def set_progress_bar_config(self, disable):
        assert disable

    def __call__(self, *, prior_token_ids, width, height, **options):
        self.calls.append({"width": width, "height": height, **options})
        codes = prior_token_ids.view(-1, height // 16, width // 16)
        to_pixels = codes.repeat_interleave(16, 1).repeat_interleave(16, 2)[..., None].expand(-1, -1, -1, 3)
        return types.SimpleNamespace(images=np.asarray(to_pixels / 255.0))


@pytest.fixture
def diffusers(monkeypatch):
    module = types.ModuleType("diffusers")
    module.__spec__ = types.SimpleNamespace(name="diffusers")
    module.GlmImagePipeline = Diffusion
    monkeypatch.setitem(sys.modules, "diffusers", module)


def test_diffusers_decodes_one_image_per_call(folder, diffusers):
    pipe = fewpass.load(folder, device="cpu")
    result = pipe(PROMPTS[:2], size=SIZE, seed=[3, 4])
    painter = pipe.model.diffusion_decoder
    where, options = painter.pipeline.loaded
    assert where == folder
    assert options["vision_language_encoder"] is None, "it is loaded already"
    calls = painter.pipeline.calls
    assert [call["prompt"] for call in calls] == PROMPTS[:2], "one picture per call, or its pixels depend on others"
    assert [call["generator"].initial_seed() for call in calls] == [3, 4]
    codes = result.tokens[:, pipe.model.grid(SIZE).start :].view(2, 3, 4)
    for image, expected in zip(result.images, codes, strict=True):
        assert image.size == SIZE
        shown = torch.tensor(list(image.tobytes())).view(96, 128, 3)
        assert torch.equal(shown[::32, ::32, 0], expected)
        assert torch.equal(
            shown, expected.repeat_interleave(32, 0).repeat_interleave(32, 1)[..., None].expand(-1, -1, 3)
        )


def test_stopped_image_is_grey(folder, diffusers):
    pipe = fewpass.load(folder, device="cpu")
    result = pipe("dog", size=SIZE, seed=0, decoder="ar", on_step=lambda canvas: canvas.lengths[0] < 240)
    assert set(result.images[0].tobytes()) == {232}
    assert (result.tokens == -1).any()


def test_pixels_need_diffusers_and_the_whole_pipeline(pipe, folder, diffusers, tmp_path, monkeypatch):
    ids = pipe.model.prompt_ids("dog", pipe.model.grid(SIZE))
    with pytest.raises(ValueError, match="give it as text, not as token ids"):
        pipe(ids, size=SIZE)
    alone = fewpass.load(write_glm_image(tmp_path), device="cpu")
    with pytest.raises(ValueError, match="draws tokens, not pictures"):
        alone("dog", size=SIZE)
    monkeypatch.delitem(sys.modules, "diffusers")
    monkeypatch.setattr(fewpass.models.glm_image.diffusion, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'fewpass\[glm\]'"):
        pipe("dog", size=SIZE)


def test_defaults_are_those_of_the_authors(pipe):
    own = pipe.model
    assert (own.guidance, own.sampling.temperature, own.sampling.top_k, own.sampling.top_p) == (1.0, 0.9, 0, 0.75)
    assert own.grid(None).grids == ((16, 16), (32, 32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (120, 96)}, "multiples of 32, not 120x96"),
        ({"size": (32, 32 * 300)}, "too long for a preview"),
        ({"size": (2048, 2048)}, "reads 1024 tokens"),
        ({"size": SIZE, "guidance": 2.0}, "draws without guidance"),
        ({"size": SIZE, "negative_prompt": "dog"}, "no effect without guidance"),
    ],
)
def test_unfit_options_are_refused(pipe, diffusers, options, message):
    with pytest.raises(ValueError, match=message):
        pipe("a cat", **options)
