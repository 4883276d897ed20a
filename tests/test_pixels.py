"""Pictures from codes."""

import copy

import numpy as np
import pytest
import torch
from transformers import ChameleonForConditionalGeneration, Emu3ForConditionalGeneration
from transformers.quantizers.base import HfQuantizer

import fewpass
from fewpass.models.pixels import to_pixels
from tests.families import write_anole, write_emu3, write_janus, write_lumina
from tests.llamagen import write_c2i

BRAIN = torch.bfloat16
WRITERS = {
    "janus": write_janus,
    "emu3": write_emu3,
    "anole": write_anole,
    "lumina": write_lumina,
    "llamagen": write_c2i,
}
SIZES = {"emu3": (32, 24), "lumina": (64, 64), "llamagen": (8, 8)}
PRECISE = ["emu3", "anole", "lumina", "llamagen"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    found = {name: tmp_path_factory.mktemp(name) for name in WRITERS}
    return {name: write(found[name]) for name, write in WRITERS.items()}


def pixels_of(pipe, name):
    """Pictures of the same codes, whatever the model's dtype."""
    grid = pipe.model.grid(SIZES.get(name))
    codes = torch.randint(24, (2, grid.size), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return pipe.model.pixels(codes, grid)


def decoder_of(seen):
    def decode(codes):
        seen.append(len(codes))
        return torch.stack([codes.float() / 2 - 1] * 3, 1)

    return decode


def test_pictures_are_made_one_after_the_other_on_a_cpu():
    seen, codes = [], torch.arange(24).view(3, 2, 4) % 5
    pictures = to_pixels(decoder_of(seen), codes)
    assert seen == [1, 1, 1]
    assert pictures.shape == (3, 2, 4, 3)
    assert pictures.dtype == torch.uint8
    assert torch.equal(pictures[..., 1], torch.tensor([0, 63, 127, 191, 255])[codes].to(torch.uint8))


def test_levels_are_cut_off_or_rounded_as_numpy_and_torchvision_do_it():
    colours = torch.linspace(-1.5, 1.5, 3 * 5000).view(1, 3, 50, 100)
    shown = (colours.numpy().clip(-1, 1) + 1) / 2 * 255  # as Janus, Anole, Lumina-mGPT and Emu3 have it
    cut, rounded = (to_pixels(lambda codes: colours, torch.zeros(1), rounded)[0] for rounded in (False, True))
    assert np.array_equal(cut.permute(2, 0, 1), shown[0].astype(np.uint8))
    torchvisions = colours.clamp(-1, 1).sub(-1).div(2).mul(255).add(0.5).clamp(0, 255).to(torch.uint8)
    assert torch.equal(rounded.permute(2, 0, 1), torchvisions[0])  # as LlamaGen's script saves pictures


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", PRECISE)
def test_authors_who_decode_in_float32_are_followed_whatever_the_dtype(name, dtype, folders):
    whole, half = (fewpass.load(folders[name], device="cpu", dtype=each) for each in ("float32", dtype))
    assert half.model.model.get_input_embeddings().weight.dtype == getattr(torch, dtype)
    assert torch.equal(pixels_of(half, name), pixels_of(whole, name))


def test_no_pictures():
    assert to_pixels(decoder_of([]), torch.zeros(0, 2, 4)).shape == (0, 2, 4, 3)


def test_a_janus_decodes_in_its_own_dtype(folders):
    half = fewpass.load(folders["janus"], device="cpu", dtype="bfloat16")
    codes = torch.randint(24, (2, 16), generator=torch.Generator().manual_seed(0))
    colours = half.model.model.decode_image_tokens(codes)
    assert colours.dtype == BRAIN
    expected = ((colours.detach().float().numpy() + 1) / 2 * 255).clip(0, 255).astype(np.uint8)
    assert np.array_equal(pixels_of(half, "janus"), expected)


def test_a_shared_model_in_bfloat16_decodes_in_float32_and_is_left_alone(folders):
    model = Emu3ForConditionalGeneration.from_pretrained(folders["emu3"], dtype=BRAIN)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    drawn = pixels_of(fewpass.wrap(model), "emu3")
    assert all(weight.dtype == BRAIN and torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    assert torch.equal(drawn, pixels_of(fewpass.wrap(copy.deepcopy(model).float()), "emu3"))


def test_a_shared_chameleon_in_bfloat16_decodes_in_float32(folders):
    whole = fewpass.load(folders["anole"], device="cpu")
    model = ChameleonForConditionalGeneration.from_pretrained(folders["anole"], dtype=BRAIN)
    assert torch.equal(pixels_of(fewpass.wrap(model), "anole"), pixels_of(whole, "anole"))


@pytest.mark.parametrize("name", ["emu3", "llamagen"])
def test_a_placed_model_decodes_in_float32_and_its_decoder_is_not_quantised(name, folders):
    placed = fewpass.load(folders[name], device_map={"": "cpu"}, dtype="bfloat16")
    assert torch.equal(pixels_of(placed, name), pixels_of(fewpass.load(folders[name], device="cpu"), name))
    network = placed.model.model
    assert "vqmodel" in HfQuantizer.get_modules_to_not_convert(network, None, network._keep_in_fp32_modules)


@pytest.mark.parametrize("kind", [ChameleonForConditionalGeneration, Emu3ForConditionalGeneration])
def test_an_offloaded_model_decodes_as_one_that_is_not(kind, folders):
    accelerate = pytest.importorskip("accelerate")
    name = "emu3" if kind is Emu3ForConditionalGeneration else "anole"
    here, moved = (kind.from_pretrained(folders[name], dtype=BRAIN) for _ in range(2))
    accelerate.cpu_offload(moved, torch.device("cpu"))
    assert torch.equal(pixels_of(fewpass.wrap(moved), name), pixels_of(fewpass.wrap(here), name))
