"""SJD-PAC: trees of candidates in front of a chain of drafts."""

from dataclasses import dataclass

import pytest
import torch

from fewpass import Drawing, Grid, Query, Sampling, ar, decoder, mc_sjd, sjd_pac
from fewpass.core.noise import FRESH, Noise
from fewpass.decoders.draft_init import Proposals
from fewpass.decoders.tree import LANE, Branches, Tree, _choose
from fewpass.runtime.kv_cache import bucket
from fewpass.testing import JointLaw, Toy, check_decoder, coming_and_going
from tests.toys import GREEDY, LAWS, PLAIN, WIDE, WIDE_ROW_ENDS, mean_passes, one_by_one, toy

PROMPTS = ["red stars", "one", "two blue stars on a red background", "a background"]


# The law.


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law_is_exact(law):
    figure = check_decoder(sjd_pac(5, 2, 3), law, images=20_000)
    assert figure.exact, figure


@pytest.mark.parametrize(("window", "candidates", "depth"), [(2, 4, 2), (1, 3, 3), (5, 2, 5)])
def test_law_is_exact_for_every_shape(window, candidates, depth):
    figure = check_decoder(sjd_pac(window, candidates, depth), LAWS["top-k, temperature"], images=20_000)
    assert figure.exact, figure


@pytest.mark.parametrize(("candidates", "depth", "nodes"), [(3, 3, 0), (3, 3, 1), (2, 5, 6), (4, 5, 64)])
def test_law_is_exact_for_part_of_a_tree(candidates, depth, nodes):
    chosen = Tree(mc_sjd(5), candidates, depth, nodes)
    for law in ("plain", "row ends, top-p"):
        figure = check_decoder(chosen, LAWS[law], images=20_000)
        assert figure.exact, figure


def test_law_is_exact_in_ragged_batches():
    figure = check_decoder(sjd_pac(5, 3, 3), LAWS["plain"], images=20_000, draw=coming_and_going)
    assert figure.exact, figure


@dataclass(frozen=True)
class Released(Tree):
    """All candidates but the first come from the residual and are tested as if they came from q: the authors' code."""

    def verify(self, canvas, state, p, noise):
        old = state[0].clone()
        new = super().verify(canvas, state, p, noise)
        index = canvas.ahead(self.levels)
        residual = (Proposals(new[0]).read(index) - Proposals(old).read(index)).relu()
        residual = residual.scatter(-1, canvas.read(index)[..., None], 0.0)
        other = noise.draw(residual, index + LANE, FRESH)
        return (new[0], torch.where(residual.sum(-1) > 0, other, -1)[..., None])


@dataclass(frozen=True)
class WithReplacement(Tree):
    """Candidates may be equal, but are tested as if they could not."""

    def _widen(self, canvas, state, noise):
        index = canvas.ahead(self.levels)
        return (state[0], noise.draw(Proposals(state[0]).read(index), index + LANE, FRESH)[..., None])


@pytest.mark.parametrize("wrong", [Released, WithReplacement])
def test_wrong_siblings_fail_the_joint_law_test(wrong):
    law, chain = JointLaw(Grid(1, 3, 6), PLAIN, sharpness=4.0), mc_sjd(5)
    figure = check_decoder(wrong(chain, 2, 2), law, images=40_000)
    assert figure.z > 10, figure
    figure = check_decoder(Tree(chain, 2, 2), law, images=40_000)
    assert figure.exact, figure


@pytest.mark.parametrize("K", [1, 2, 4, 6])
def test_chosen_candidate_is_a_draw_from_p(K):
    """At most four candidates have mass under q; p has codes that q has not, and the other way round."""
    images = 100_000
    q = torch.tensor([0.4, 0.3, 0.2, 0.1, 0.0, 0.0], dtype=torch.float64)
    p = torch.tensor([0.1, 0.35, 0.0, 0.2, 0.3, 0.05], dtype=torch.float64)
    noise, index = Noise(torch.arange(images), torch.zeros(images, dtype=torch.long)), torch.zeros(images, 1).long()
    rest, x = q.expand(images, 1, -1), []
    for k in range(K):
        drawn_ = noise.draw(rest, index + k * LANE, FRESH)
        x.append(torch.where(rest.sum(-1) > 0, drawn_, -1))
        rest = rest.scatter(-1, x[-1].relu()[..., None], 0.0)
    token, chosen = _choose(torch.cat(x, 1), q.expand(images, 1, -1), p.expand(images, 1, -1), index, noise)
    z = (torch.bincount(token, minlength=6) - images * p) / (images * p * (1 - p)).sqrt().clamp(min=1e-9)
    assert z.abs().max() < 5, z
    stood = chosen < K
    assert torch.equal(token[stood], torch.cat(x, 1).gather(1, chosen.clamp(max=K - 1)[:, None])[stood][:, 0])
    assert abs(float((chosen == 0).double().mean()) - float(torch.minimum(p, q).sum())) < 0.01


# Identities.


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("guess", ["uniform", "above_sample"])
def test_one_candidate_is_mc_sjd(grid, depth, guess):
    for window in (0, 1, 2, 7, grid.size):
        assert torch.equal(toy(grid, sjd_pac(window, 1, depth, guess)), toy(grid, mc_sjd(window, guess))), window


def test_one_level_is_mc_sjd():
    assert torch.equal(toy(WIDE, sjd_pac(7, 5, 1)), toy(WIDE, mc_sjd(7)))
    assert not torch.equal(toy(WIDE, sjd_pac(7, 5, 2)), toy(WIDE, mc_sjd(7)))


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
@pytest.mark.parametrize("draw", [coming_and_going, one_by_one])
@pytest.mark.parametrize(("window", "candidates", "depth"), [(1, 2, 2), (6, 3, 3), (30, 2, 4), (6, 5, 5)])
def test_image_does_not_depend_on_its_batch(grid, draw, window, candidates, depth):
    chosen = sjd_pac(window, candidates, depth)
    assert torch.equal(toy(grid, chosen, draw=draw, images=7), toy(grid, chosen, images=7))


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
def test_temperature_0_is_greedy(grid):
    for options in ((7, 3, 3), (2, 4, 2)):
        assert torch.equal(toy(grid, sjd_pac(*options), GREEDY), toy(grid, ar(), GREEDY))


def test_more_candidates_save_passes():
    assert mean_passes(sjd_pac(16, 4, 3), 0.6) < mean_passes(mc_sjd(16), 0.6)


def test_more_nodes_save_passes():
    passes = [mean_passes(Tree(mc_sjd(16), 3, 3, nodes), 0.6) for nodes in (0, 4, 10)]
    assert passes == sorted(passes, reverse=True)


# The branches.


CPU = torch.device("cpu")


def test_branches_of_two_levels_of_three():
    tree = Branches.of(3, 2, 64, CPU)
    assert tree.level.tolist() == [1, 1] + [2] * 8
    assert tree.candidate.tolist() == [1, 2, 1, 2, 0, 1, 2, 0, 1, 2]
    assert tree.forks.tolist() == [0, 0] + [1, 1] + [0] * 6
    assert [line.nonzero().flatten().tolist() for line in tree.line] == [
        *([0], [1], [2], [3]),
        *([0, 4], [0, 5], [0, 6], [1, 7], [1, 8], [1, 9]),
    ]
    leaves = [[-1, -1, -1]] * 8
    assert tree.child.tolist() == [[1, 3, 4], [2, 5, 6], [-1] * 3, [7, 8, 9], [10, 11, 12], *leaves]


@pytest.mark.parametrize(("K", "levels"), [(2, 5), (3, 3), (4, 2), (7, 2)])
def test_tree_is_complete_up_to_64_nodes(K, levels):
    tree = Branches.of(K, levels, 64, CPU)
    assert torch.bincount(tree.level).tolist() == [0, *(K**i - 1 for i in range(1, levels + 1))]


def test_larger_tree_keeps_its_likeliest_nodes():
    tree = Branches.of(8, 3, 64, CPU)
    assert len(tree.level) == 64
    assert torch.bincount(tree.level).tolist() == [0, 7, 33, 24]
    tree = Branches.of(3, 2, 3, CPU)
    assert list(zip(tree.level.tolist(), tree.candidate.tolist(), strict=True)) == [(1, 1), (1, 2), (2, 1)]
    assert tree.child.tolist() == [[1, 3, 4], [2, 5, -1], *[[-1] * 3] * 4]


def test_one_candidate_has_no_branches():
    tree = Branches.of(1, 3, 64, CPU)
    assert len(tree.level) == 0
    assert tree.line.shape == (0, 0)
    assert tree.child.tolist() == [[1], [2], [3], [-1]]


def test_pass_asks_about_no_more_nodes_than_there_may_be():
    session, chain = Toy(2, Grid(8, 8, 16)), mc_sjd(32)
    for chosen, asked in ((chain, 33), (sjd_pac(), 45), (sjd_pac(candidates=8, depth=4), 33 + 3 + 64)):
        drawing = Drawing(session, chosen, PLAIN, torch.arange(2))
        assert drawing.decoder.draft(drawing.canvas, drawing.state).tokens.shape[1] == asked, chosen


def test_narrow_q_has_fewer_candidates():
    drawing = Drawing(Toy(50, WIDE_ROW_ENDS), sjd_pac(8, 4, 3), Sampling(top_k=3), torch.arange(50))
    while not all(drawing.canvas.finished):
        index = drawing.canvas.ahead(2)
        q = Proposals(drawing.state[0]).read(index)
        there = (drawing.state[1] >= 0).sum(-1) + 1
        inside = index < WIDE_ROW_ENDS.size
        assert torch.equal(there[inside], (q > 0).sum(-1).clamp(max=4)[inside])
        x = torch.cat([drawing.canvas.read(index)[..., None], drawing.state[1]], -1)
        mass = q.gather(-1, x.relu()) * (x >= 0)
        assert ((mass > 0) == (x >= 0))[inside].all()
        twice = (x[..., None] == x[..., None, :]) & (x >= 0)[..., None]
        assert (twice.sum((-1, -2)) == there)[inside].all()
        drawing.advance()


def whole(tokens):
    return Query(tokens, torch.arange(tokens.shape[1]).expand_as(tokens))


def opened(pipeline, prompts, guidance=3.0):
    model = pipeline.model
    return model.open(prompts, model.grid(None), guidance, [None] * len(prompts))


@torch.inference_mode()
def test_branches_are_answered_as_images_of_their_own(pipeline):
    """Slots and masks: a branch sees what is final, what is above it, itself, and nothing else."""
    chosen = sjd_pac(6, 3, 3)
    session, law = opened(pipeline, PROMPTS), Sampling()
    drawing, N = Drawing(session, chosen, law, torch.arange(4)), session.grid.size
    tree = Branches.of(3, 2, 64, CPU)
    parents = [[*line.nonzero().flatten().tolist()] for line in tree.line]
    for _ in range(3):
        query = drawing.decoder.draft(drawing.canvas, drawing.state)
        logits = session(query)
        beside = query.tokens.shape[1] - len(tree.level)
        for image, c in enumerate(drawing.canvas.lengths):
            on_chain = drawing.canvas.tokens[image]
            for s, line in enumerate(parents):
                if c + tree.level[s] >= N:
                    continue
                path = [*on_chain[: c + tree.forks[s]].tolist(), *(int(query.tokens[image, beside + t]) for t in line)]
                alone = opened(pipeline, [PROMPTS[image]])
                clean = alone(whole(torch.tensor([path])))
                torch.testing.assert_close(logits[image, beside + s], clean[0, -1])
        drawing.advance()
    longest = int(session.offset.max()) + N + 1 + len(tree.level)
    assert session.cache.written.shape[1] <= bucket(longest, torch.device("cpu"))


@torch.inference_mode()
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_cache_equals_that_of_a_clean_pass(pipeline, guidance):
    """Also where a branch has won, whose tokens were in other slots."""
    session = opened(pipeline, PROMPTS, guidance)
    drawing, N = Drawing(session, sjd_pac(6, 4, 3), Sampling(), torch.arange(4)), session.grid.size
    while not all(drawing.canvas.finished):
        drawing.advance()
    clean, tokens = opened(pipeline, PROMPTS, guidance), drawing.canvas.tokens[:, :N]
    clean(whole(tokens))
    for row, offset in enumerate(session.offset.tolist()):
        for mine, true in zip(session.cache.layers, clean.cache.layers, strict=True):
            slots = slice(0, offset + N - 4)  # the very last tokens are never fed once more
            torch.testing.assert_close(mine.keys[row, :, slots], true.keys[row, :, slots])
            torch.testing.assert_close(mine.values[row, :, slots], true.values[row, :, slots])


@pytest.mark.parametrize(("name", "value"), [("candidates", 0), ("depth", 0), ("window", -1), ("guess", "sideways")])
def test_options_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        decoder(f"sjd_pac({name}={value})")
