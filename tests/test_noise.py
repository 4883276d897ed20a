import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fewpass.core.noise
from fewpass.core.noise import ACCEPT, BLOCK, CORRECT, FRESH, Noise
from tests.properties import REPEATABLE

N = 100_000
INDEX = torch.arange(N)[None]


def noise(seeds=(5,), step=0):
    seeds = torch.tensor(seeds)
    return Noise(seeds, torch.full_like(seeds, step))


def assert_standard_uniform(u):
    assert u.min() > 0
    assert u.max() < 1
    for power in (1, 2, 3, 4):  # four standard errors
        moment, spread = 1 / (power + 1), (1 / (2 * power + 1) - 1 / (power + 1) ** 2) ** 0.5
        assert abs((u**power).mean() - moment) < 4 * spread / len(u) ** 0.5


def assert_uncorrelated(a, b):
    assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1]) < 4 / len(a) ** 0.5


def assert_frequencies(tokens, p):
    """Chi-square within five standard deviations, and nothing that is impossible."""
    p = p / p.sum()
    seen, due = torch.bincount(tokens, minlength=len(p)), p * len(tokens)
    assert not seen[p == 0].any()
    possible = p > 0
    chi2, freedom = ((seen - due)[possible] ** 2 / due[possible]).sum(), possible.sum() - 1
    assert abs(chi2 - freedom) <= 5 * (2 * freedom) ** 0.5


def test_uniform_is_uniform_over_positions_seeds_and_steps():
    assert_standard_uniform(noise().uniform(INDEX, ACCEPT)[0])
    seeds = torch.arange(N)
    zero = torch.zeros(N, 1, dtype=torch.long)
    assert_standard_uniform(Noise(seeds, zero[:, 0]).uniform(zero, ACCEPT)[:, 0])
    assert_standard_uniform(Noise(0 * seeds, seeds).uniform(zero, ACCEPT)[:, 0])


def test_neighbouring_positions_steps_seeds_and_tags_are_uncorrelated():
    base = noise().uniform(INDEX, ACCEPT)[0]
    assert_uncorrelated(base[1:], base[:-1])
    for other in (noise(step=1).uniform(INDEX, ACCEPT), noise((6,)).uniform(INDEX, ACCEPT)):
        assert_uncorrelated(base, other[0])
    for tag in (CORRECT, FRESH):
        assert_uncorrelated(base, noise().uniform(INDEX, tag)[0])


def test_numbers_do_not_depend_on_the_order_of_the_batch_or_of_the_positions():
    there = noise((1, 2, 3)).uniform(torch.tensor([[0, 1, 2], [5, 6, 7], [3, 4, 5]]), FRESH)
    back = noise((3, 2, 1)).uniform(torch.tensor([[5, 4, 3], [7, 6, 5], [2, 1, 0]]), FRESH)
    assert torch.equal(there, back.flip(0, 1))


def test_all_bits_of_the_seed_matter():
    seeds = torch.tensor([0, *(1 << bit for bit in range(63)), 2**63 - 1])
    first = Noise(seeds, torch.zeros_like(seeds)).uniform(torch.zeros(len(seeds), 1, dtype=torch.long), FRESH)
    assert len(first.unique()) == len(seeds)


LAWS = {
    "ordinary": [0.1, 0.2, 0.3, 0.4],
    "zeros at both ends": [0.0, 0.0, 0.5, 0.25, 0.25, 0.0, 0.0],
    "zeros within": [0.5, 0.0, 0.0, 0.5],
    "not normalised": [3.0, 0.0, 1.0, 0.0],
    "tiny mass": [0.0, 1e-30, 3e-30, 0.0],
    "certain": [0.0, 0.0, 1.0, 0.0],
    "long": [0.0 if v % 3 else 1.0 + v for v in range(100)],
}


def laws(values, dtype):
    return torch.tensor(values, dtype=dtype).expand(1, N, -1)


@pytest.mark.parametrize("values", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draw_and_gumbel_max_have_the_frequencies_of_p(values, dtype):
    p = laws(values, dtype)
    assert_frequencies(noise().draw(p, INDEX, FRESH)[0], p[0, 0].double())
    assert_frequencies(noise().gumbel_max(p, INDEX)[0], p[0, 0].double())


def test_draw_takes_the_first_and_the_last_possible_token_at_the_extremes():
    class Extreme(Noise):
        def uniform(self, index, tag):
            return torch.tensor([[2.0**-41, 1 - 2.0**-41]], dtype=torch.float64)

    law = torch.tensor([0.0, 0.3, 0.0, 0.7, 0.0])
    one = torch.zeros(1, dtype=torch.long)
    assert Extreme(one, one).draw(law.expand(1, 2, -1), torch.tensor([[0, 1]]), FRESH).tolist() == [[1, 3]]


def test_gumbel_max_ignores_the_step_and_draw_does_not():
    p = laws(LAWS["ordinary"], torch.float64)
    assert torch.equal(noise(step=0).gumbel_max(p, INDEX), noise(step=9).gumbel_max(p, INDEX))
    assert not torch.equal(noise(step=0).draw(p, INDEX, FRESH), noise(step=9).draw(p, INDEX, FRESH))


def test_gumbel_max_keeps_the_token_of_nearly_equal_distributions():
    p = laws(LAWS["ordinary"], torch.float64)
    q = p.clone()
    q[..., 0] += 0.02
    q[..., 3] -= 0.02
    moved = (noise().gumbel_max(p, INDEX) != noise().gumbel_max(q, INDEX)).double().mean()
    assert moved > 0.02 - 0.002  # nothing agrees more often than a maximal coupling
    assert moved < 1 - (1 - 0.02) / (1 + 0.02) + 0.002  # algorithm of arXiv 2408.07978: at least (1-TV)/(1+TV) agree


def test_numpy_and_torch_agree_on_every_bit(monkeypatch):
    noise = Noise(torch.tensor([0, 2**63 - 1]), torch.tensor([3, 2**40]))
    index = torch.arange(5).repeat(2, 1) + torch.tensor([[0], [2**33]])
    p = laws(LAWS["ordinary"], torch.float32)[:1, :1].expand(*index.shape, -1)
    seen = []
    for look in (lambda x: x.numpy() if isinstance(x, torch.Tensor) else x, lambda x: x):
        monkeypatch.setattr(fewpass.core.noise, "_light", look)
        keys = noise._key(noise.step, index, index % 4), noise._key(0, index, 3), noise._key(1, index, 3)
        seen.append([*map(torch.as_tensor, keys), noise.uniform(index, 2), noise.gumbel_max(p, index)])
    assert all(map(torch.equal, *seen))
    assert not torch.equal(seen[0][1], seen[0][2])


@st.composite
def sparse_laws(draw):
    """Laws [B, n, V] most of whose tokens have probability 0, with seeds, steps and positions."""
    images, n, width = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        draw(st.sampled_from([1, 3, BLOCK, 2 * BLOCK + 5])),
    )
    p = torch.zeros(images, n, width, dtype=draw(st.sampled_from([torch.float32, torch.float64])))
    possible = st.dictionaries(
        st.integers(0, width - 1), st.sampled_from([1e-30, 0.01, 1.0, 3.0]), min_size=1, max_size=4
    )
    for law in p.flatten(0, 1):
        for token, mass in draw(possible).items():
            law[token] = mass
    seeds = draw(st.lists(st.integers(0, 2**63 - 1), min_size=images, max_size=images))
    steps = draw(st.lists(st.integers(0, 300), min_size=images, max_size=images))
    index = draw(st.lists(st.lists(st.integers(0, 5000), min_size=n, max_size=n), min_size=images, max_size=images))
    return p, torch.tensor(seeds), torch.tensor(steps), torch.tensor(index)


@settings(REPEATABLE, max_examples=200)
@given(case=sparse_laws())
def test_tokens_of_probability_0_are_never_drawn_and_images_do_not_depend_on_each_other(case):
    p, seeds, steps, index = case
    for way in ("draw", "race"):
        tokens = tokens_of(way, *case)
        assert (p.gather(-1, tokens[..., None]) > 0).all(), way
        for image in torch.arange(len(p))[:, None]:
            alone = tokens_of(way, p[image], seeds[image], steps[image], index[image])
            assert torch.equal(alone, tokens[image]), way


def tokens_of(way, p, seeds, steps, index):
    noise = Noise(seeds, steps)
    return noise.gumbel_max(p, index) if way == "race" else noise.draw(p, index, FRESH)
