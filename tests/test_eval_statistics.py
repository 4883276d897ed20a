"""Intervals, and figures of finished images."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import fewpass.engine.log_likelihood
from fewpass import Sampling
from fewpass.engine.log_likelihood import CHUNK, read
from fewpass.evaluation import statistics
from fewpass.evaluation.folder import ROUND, DecoderImages, items_of
from fewpass.evaluation.instruments import Instruments, instruments_of
from fewpass.evaluation.metrics import Features, frechet_distance, kernel_distance
from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import summarise
from fewpass.io.png_metadata import png
from fewpass.io.prompt_rows import Row
from fewpass.testing import Toy
from tests.toys import FREE, ROW_ENDS

ROWS = [Row("a cat", "1"), Row("a dog", "2"), Row("a cat", "3")]


def test_mean_has_the_normal_interval_without_nan():
    e = statistics.mean([1.0, 2.0, 3.0, math.nan])
    assert (e.mean, e.n) == (2.0, 3)
    assert e.high - e.mean == pytest.approx(1.959964 / math.sqrt(3))
    assert math.isnan(statistics.mean([1.0]).low)
    assert math.isnan(statistics.mean([]).mean)


def test_intervals_end_at_bounds_of_the_values():
    few = statistics.mean([0.0, 0.1], 0, 1)
    assert (few.low, few.high) == (0, pytest.approx(0.148, abs=1e-3))
    assert math.isnan(statistics.mean([1.0], 0, 1).low)
    assert math.isnan(statistics.mean([1.0], 0, 1).high)


def test_first_images_keep_their_seeds():
    once, twice = items_of(ROWS, 1, 7), items_of(ROWS[:2], 2, 7)
    assert [item.seed for item in once] == [7, 8, 9]
    assert [(i.number, i.round, i.seed) for i in twice] == [(0, 0, 7), (0, 1, 7 + ROUND), (1, 0, 8), (1, 1, 8 + ROUND)]
    with pytest.raises(ValueError, match="got 9223373036854775807"):
        items_of(ROWS, 1, 2**63 - 1)


def made(decoder, tokens, logprobs):
    """Images of two tokens, with a record for each pair of tokens."""
    items = items_of([Row(str(i), "") for i in range(len(tokens))], 1, 0)
    trace = {"committed": [1, 2], "seconds": 1.0, "images_together": 1}
    records = [{"trace": trace, "entropy": [1, 1], "tokens": t, "logprobs": logprobs[i]} for i, t in enumerate(tokens)]
    return DecoderImages(SimpleNamespace(), decoder, True, items, json.loads(json.dumps(records)))


def test_likelihood_excludes_forbidden_tokens():
    d = made("sjd(window=3)", [[0, 0], [0, 0]], [[-1.0, None], [-2.0, -4.0]])
    assert d.forbidden == 1
    assert d.nll.tolist() == [1, 3]


@pytest.mark.parametrize("grid", [FREE, ROW_ENDS], ids=["free", "row_ends"])
def test_read_returns_entropy_and_log_probabilities(grid, monkeypatch):
    monkeypatch.setattr(fewpass.engine.log_likelihood, "CHUNK", 2)
    assert grid.size < CHUNK
    law, tokens = Sampling(0.8, 3), torch.zeros(2, grid.size, dtype=torch.long)
    if grid.forced is not None:
        tokens[:] = grid.forced.clamp(min=0)
    reading, toy = read(Toy(2, grid), law, tokens), Toy(2, grid)
    prefix = torch.zeros(2, 1, dtype=torch.long)
    for position in range(grid.size):
        p = law(toy.logits(prefix, torch.full((2, 1), position)))[:, 0]
        assert reading.entropy[:, position] == pytest.approx(-(p * p.clamp(min=1e-300).log()).sum(-1))
        assert reading.logprobs[:, position].exp() == pytest.approx(
            p.gather(1, tokens[:, position : position + 1])[:, 0]
        )
        prefix = prefix + toy.word(tokens[:, position : position + 1], position)
    unfinished = tokens.clone()
    unfinished[:, 3:] = -1
    assert (read(Toy(2, grid), law, unfinished).entropy[:, 3:] == 0).all()


def test_same_images_have_zero_differences():
    """Not by what two readings are rounded to, nor by an interval."""
    tokens = [[0, 1], [1, 1]]
    ar = made("ar", tokens, [[-1.0, -2.0]] * 2)
    _, summary = summarise([ar, made("jacobi", tokens, [[-1.00001, -2.0]] * 2)], Instruments())
    assert summary.same_images
    assert summary.nll_difference == Estimate(0, 0, 0, 2, 0)
    changed = made("jacobi", [[5, 5], [5, 5]], [[-1.00001, -2.0]] * 2)
    assert not summarise([ar, changed], Instruments())[1].same_images


@pytest.mark.parametrize(("images", "said"), [(5, True), (63, True), (64, False)])
def test_fid_of_fewer_images_than_features_is_skipped(images, said):
    _, skipped = instruments_of("emoji", images, None, None)
    assert [reason for reason in skipped if "FID" in reason] == [
        reason for reason in skipped if f"FID: {images} images of a decoder are fewer than the 64 features" in reason
    ]
    assert any("FID" in reason for reason in skipped) is said


def test_distance_of_one_image_is_skipped_with_its_reason():
    assert any(reason.startswith("KID:") for reason in instruments_of("emoji", 1, None, None)[1])


def test_weights_that_are_absent_or_of_no_use_are_refused_where_they_were_asked_for(tmp_path):
    with pytest.raises(ValueError, match=r"'absent' has no effect: emoji has a network of its own"):
        instruments_of("emoji", 9, None, Path("absent"))
    with pytest.raises(ValueError, match=r"no file 'absent'"):
        instruments_of("another", 9, None, Path("absent"))
    with pytest.raises(ValueError, match="weights of absent are missing"):
        instruments_of("emoji", 9, "absent", None)
    (tmp_path / "half.png").write_bytes(png(Image.new("RGB", (64, 64)), {})[:-40])
    with pytest.raises(ValueError, match=r"half\.png"):
        instruments_of("emoji", 64, None, None, tmp_path)


def test_frechet_distance_of_normal_distributions():
    chance = torch.Generator().manual_seed(0)
    one = torch.randn(4000, 3, generator=chance, dtype=torch.float64)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, one + torch.tensor([1.0, 2.0, 0.0])) == pytest.approx(5, rel=1e-6)
    assert frechet_distance(one, 2 * one) == pytest.approx(3, rel=0.1)


# --- distances


def normals(n, seed, shift=0.0):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_kernel_distance_of_two_pairs_by_hand():
    """With one feature, k(x, y) = (xy + 1)^3; no image is compared with its counterpart."""
    one, other = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [1.0]])
    # k(0, 1) + k(2, 1) - k(0, 1) - k(1, 2) = 1 + 27 - 1 - 27
    assert kernel_distance(one, other).mean == 0
    one, other = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [-1.0]])
    # k(0, 2) + k(1, -1) - k(0, -1) - k(2, 1) = 1 + 0 - 1 - 27
    assert kernel_distance(one, other).mean == -27
    assert math.isnan(kernel_distance(one, other).error)
    assert math.isnan(kernel_distance(one[:1], other[:1]).mean)


def test_kernel_distance_is_that_of_torchmetrics_but_for_counterparts():
    kid = pytest.importorskip("torchmetrics.image.kid")
    one, other, n = normals(30, 0), normals(30, 1, 0.3), 30
    across = kid.poly_kernel(one, other)
    expected = kid.poly_mmd(one, other) + 2 * across.sum() / n**2
    expected -= 2 * (across.sum() - across.diagonal().sum()) / (n * (n - 1))
    assert kernel_distance(one, other).mean == pytest.approx(float(expected))


def test_kernel_distance_is_unbiased_with_few_images_of_each_prompt():
    """Every prompt moves its two images alike, far more than their seeds do: the floor stays at 0."""
    floors, planted = [], []
    for seed in range(40):
        prompts = 2 * normals(40, 1000 + seed)
        one, other = prompts + normals(40, seed), prompts + normals(40, 500 + seed)
        floors.append(kernel_distance(one, other))
        planted.append(kernel_distance(one, other + 1.2))
    means = np.array([floor.mean for floor in floors])
    assert abs(means.mean()) < 3 * means.std() / math.sqrt(len(means))
    assert means.std() < np.mean([floor.error for floor in floors]) < 4 * means.std()
    assert sum(one.low > 0 for one in planted) > 0.9 * len(planted)
    assert sum(floor.low > 0 or floor.high < 0 for floor in floors) <= 4


def greys(decoder, levels):
    """Images of grey levels, which differ if the levels do."""
    return made(decoder, [[int(10 * level), 0] for level in levels], [[-1.0, -1.0]] * len(levels))


def test_floor_is_the_distance_of_ar_to_its_counterparts():
    chance = np.random.default_rng(0)
    levels, others = chance.normal(size=(2, 80))
    sets = {"ar": levels, "jacobi": levels, "lossy": levels + 1}
    by_images = {name: greys(name, values) for name, values in sets.items()}
    apart = greys("ar", others)
    lookup = {id(images): torch.tensor(sets[name])[:, None] for name, images in by_images.items()}
    lookup[id(apart)] = torch.tensor(others)[:, None]
    features = Features("levels", 1, lambda images: images)
    object.__setattr__(features, "of_images", lambda images: lookup[id(images)])
    floor, same, lossy = summarise(list(by_images.values()), Instruments(features=features), apart)
    assert floor.kid.n == 80
    assert floor.kid.low < 0 < floor.kid.high
    assert floor.fid < 0.2
    assert (same.kid, same.fid) == (floor.kid, floor.fid)
    assert lossy.kid.low > floor.kid.high
    assert lossy.fid > 0.5
    assert summarise([by_images["lossy"]], Instruments(features=features))[0].kid is None
