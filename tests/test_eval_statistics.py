"""Intervals, and figures of finished images."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import fewpass.engine.log_likelihood
from fewpass import Sampling
from fewpass.engine.log_likelihood import CHUNK, read, score
from fewpass.evaluation import statistics
from fewpass.evaluation.folder import ROUND, items_of, remarks
from fewpass.evaluation.images import DecoderImages, acceptance_by_entropy, bounds, heat, smooth, tokens_per_pass
from fewpass.evaluation.metrics import frechet_distance, pair_distances
from fewpass.evaluation.run import Tools, instruments_of
from fewpass.evaluation.statistics import Estimate
from fewpass.evaluation.summary import Instruments, summarise
from fewpass.io.prompt_files import Row
from fewpass.models.emoji.scenes import evaluation_prompts
from fewpass.testing import Toy
from tests.toys import FREE, ROW_ENDS

ROWS = [Row("a cat", "1"), Row("a dog", "2"), Row("a cat", "3")]


def test_share_has_wilsons_interval():
    e = statistics.share([True] * 8 + [False] * 2)  # Newcombe (1998) and every table: 0.490 to 0.943
    assert (e.mean, e.n) == (0.8, 10)
    assert (e.low, e.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert statistics.share([True] * 5).high == 1


def test_mean_has_the_normal_interval_without_nan():
    e = statistics.mean([1.0, 2.0, 3.0, math.nan])
    assert (e.mean, e.n) == (2.0, 3)
    assert e.high - e.mean == pytest.approx(1.959964 / math.sqrt(3))
    assert math.isnan(statistics.mean([1.0]).low)
    assert math.isnan(statistics.mean([]).mean)


def test_share_difference_is_paired():
    new, old = [True, True, False, False], [True, False, False, False]
    e = statistics.share_difference(new, old)
    assert e.mean == 0.25
    assert e.low < 0 < e.high
    alike = statistics.share_difference([True, False] * 50, [True, False] * 50)
    assert alike.mean == 0
    assert 0 < alike.high < 0.03  # pairs that agree narrow the interval
    apart = statistics.share_difference([True, False] * 50, [False, True] * 50)
    assert apart.mean == 0
    assert apart.high > 0.15


def test_intervals_end_at_bounds_of_the_values():
    won = statistics.share_difference([True] * 4, [False] * 4)
    assert (won.mean, won.high) == (1, 1)
    lost = statistics.share_difference([False] * 4, [True] * 4)
    assert (lost.mean, lost.low) == (-1, -1)
    few = statistics.mean([0.0, 0.1], 0, 1)
    assert (few.low, few.high) == (0, pytest.approx(0.148, abs=1e-3))
    assert math.isnan(statistics.mean([1.0], 0, 1).low)
    assert math.isnan(statistics.mean([1.0], 0, 1).high)


@pytest.mark.parametrize("n", range(1, 12))
def test_share_difference_lies_within_100_points(n):
    for won in range(n + 1):
        e = statistics.share_difference([True] * won + [False] * (n - won), [False] * won + [True] * (n - won))
        assert -1 <= e.low <= e.mean <= e.high <= 1


def test_first_images_keep_their_seeds():
    once, twice = items_of(ROWS, 1, 0, 7), items_of(ROWS, 1, 1, 7)
    assert [item.seed for item in once] == [7, 8, 9]
    assert [(i.number, i.round, i.seed) for i in twice] == [(0, 0, 7), (0, 1, 7 + ROUND), (1, 0, 8), (2, 0, 9)]
    assert len(items_of(ROWS, 3, 2, 0)) == 9
    with pytest.raises(ValueError, match=str(2**63)):
        items_of(ROWS, 1, 0, 2**63 - 1)


def test_repeated_prompts_are_remarked():
    assert remarks(ROWS[:2]) == []
    (remark,) = remarks(ROWS)
    assert "1 of 3" in remark
    assert "'a cat'" in remark


def made(committed, entropy=None, logprobs=None, pairs=0):
    n = len(committed)
    items = items_of([Row(str(i), "") for i in range(n - pairs)], 1, pairs, 0)
    entropy = [[1.0] * len(row) for row in committed] if entropy is None else entropy
    records = [
        {
            "trace": {"committed": c, "seconds": 6.0, "images_together": 2},
            "entropy": e,
            "logprobs": logprobs[i] if logprobs else e,
        }
        for i, (c, e) in enumerate(zip(committed, entropy, strict=True))
    ]
    return DecoderImages(SimpleNamespace(), "sjd(window=3)", True, items, json.loads(json.dumps(records)))


def test_pass_is_shared_equally_and_all_tokens_but_one_are_free():
    d = made([[1, 2, 2, 2, 3, 3]])
    assert d.free.tolist() == [[False, True, True, False, True, False]]
    assert d.share.tolist() == [[1, 1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2]]
    assert (d.passes, d.tokens_per_pass, d.seconds) == (3, 2, 3)
    scattered = made([[1, 2, 3, 2, 3, 4]])  # rows that are drawn side by side
    assert scattered.free.tolist() == [[False, True, True, False, False, False]]
    assert d.share.sum() == d.passes
    assert scattered.share.sum() == scattered.passes


def test_tokens_per_pass_is_one_over_the_mean_share():
    d = made([[1, 2, 2, 2], [1, 2, 3, 4]])
    assert tokens_per_pass(d) == pytest.approx([1, 1.5, 1.5, 1.5])
    grid = SimpleNamespace(start=0, rows=2, cols=2)
    assert heat(d, grid) == pytest.approx(np.array([[1, 1.5], [1.5, 1.5]]))
    assert smooth(np.array([0.0, 3.0, 6.0]), 3).tolist() == pytest.approx([1.5, 3, 4.5])


def test_acceptance_is_binned_by_entropy():
    d = made([[1, 1, 1, 2]], entropy=[[0.1, 0.2, 3.0, 3.1]])
    by = acceptance_by_entropy(d, bounds([d], 2))
    assert by.entropy == pytest.approx([0.15, 3.05])
    assert by.accepted.tolist() == [1, 0]


def test_likelihood_excludes_forbidden_tokens():
    d = made([[1, 2], [1, 2]], logprobs=[[-1.0, None], [-2.0, -4.0]])
    assert d.forbidden == 1
    assert d.nll.tolist() == [1, 3]


def test_pairs_are_the_two_images_of_a_prompt():
    assert made([[1], [1], [1]], pairs=1).pairs == [(0, 1)]


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
    assert torch.equal(score(Toy(2, grid), law, tokens), reading.logprobs)


def test_same_images_have_zero_differences():
    """Not by what two readings are rounded to, nor by an interval."""
    records = [{"decoder": "ar", "logprobs": [-1.0, -2.0]}, {"decoder": "jacobi", "logprobs": [-1.00001, -2.0]}]
    both = [
        DecoderImages(
            SimpleNamespace(),
            record["decoder"],
            True,
            items_of(ROWS[:2], 1, 0, 0),
            [
                record
                | {"tokens": [number, 1], "entropy": [1, 1]}
                | {"trace": {"committed": [1, 2], "seconds": 1.0, "images_together": 1}}
                for number in range(2)
            ],
        )
        for record in records
    ]
    _, summary = summarise(both, Instruments())
    assert summary.same_images
    assert summary.versus["nll"] == Estimate(0, 0, 0, 2)
    other = [record | {"tokens": [5, 5]} for record in both[1].records]
    changed = DecoderImages(both[1].folder, "jacobi", True, both[1].items, other)
    assert not summarise([both[0], changed], Instruments())[1].same_images


@pytest.mark.parametrize(("images", "said"), [(5, True), (63, True), (64, False)])
def test_fid_of_fewer_images_than_features_is_skipped(images, said):
    rows = [Row(prompt, "") for prompt in evaluation_prompts()[:images]]
    instruments, _, skipped = instruments_of(items_of(rows, 1, 0, 0), Tools("absent", Path("absent")))
    assert instruments.fid is not said
    assert [reason for reason in skipped if "FID" in reason] == [
        reason for reason in skipped if f"FID: {images} images of a decoder are fewer than the 64 features" in reason
    ]
    assert any("FID" in reason for reason in skipped) is said


def test_frechet_distance_of_normal_distributions():
    chance = torch.Generator().manual_seed(0)
    one = torch.randn(4000, 3, generator=chance, dtype=torch.float64)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, one + torch.tensor([1.0, 2.0, 0.0])) == pytest.approx(5, rel=1e-6)
    assert frechet_distance(one, 2 * one) == pytest.approx(3, rel=0.1)
    assert pair_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), [(0, 1)]).tolist() == [5]
