"""Drafts looked up by position and neighbours: the tokens of `ar`, in fewer passes."""

import pytest
import torch
import torch.nn.functional as F

from fewpass import Canvas, Drawing, Grid, Sampling, ar, jacobi, jacobi_ngram
from fewpass.decoders.correction import Answers, Correction
from fewpass.decoders.ngram import Known, NGrams
from fewpass.decoders.pool import Neighbours, Pool
from fewpass.testing import Toy, coming_and_going, drawn
from tests.toys import GREEDY, PLAIN, WIDE, WIDE_ROW_ENDS, mean_passes, one_by_one, toy

BLOCKS = Grid(4, 4, 16, before=((2, 3),))
FEWER = {"emoji": 0.7, "photo": 0.9}  # passes, as a share of those of jacobi
GRIDS = pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS, BLOCKS], ids=["free", "row_ends", "blocks"])


@GRIDS
@pytest.mark.parametrize("draw", [drawn, coming_and_going, one_by_one])
def test_tokens_are_those_of_ar(grid, draw):
    seeds = torch.arange(12)
    expected = drawn(Toy(12, grid, guidance=1.5), ar(), PLAIN, seeds)
    for window, branches in (
        (0, 0),
        (1, 0),
        (1, 3),
        (5, 0),
        (5, 7),
        (grid.size + 2, 0),
        (grid.size + 2, grid.size + 1),
    ):
        decoder = jacobi_ngram(window, branches)
        assert torch.equal(draw(Toy(12, grid, guidance=1.5), decoder, PLAIN, seeds), expected), decoder


@pytest.mark.parametrize("branches", [0, 8])
def test_greedy_is_greedy(branches):
    assert torch.equal(toy(WIDE, jacobi_ngram(7, branches), GREEDY), toy(WIDE, ar(), GREEDY))


@pytest.mark.parametrize(("window", "branches", "images"), [(4, 0, 1), (32, 0, 2), (16, 7, 2)])
def test_tokens_are_those_of_ar_on_the_bundled_models(bundled, by_ar, window, branches, images):
    model, prompts = bundled
    ngram = model(prompts[:images], decoder=jacobi_ngram(window, branches), seed=3)
    assert torch.equal(ngram.tokens, by_ar[:images])


def passes_of(bundled, decoder):
    model, prompts = bundled
    return int(model(prompts, decoder=decoder, seed=5).trace.passes.sum())


@pytest.fixture(scope="module")
def passes(bundled):
    return passes_of(bundled, jacobi_ngram(16))


def test_passes_are_fewer_than_those_of_jacobi(bundled, passes):
    assert passes < FEWER[bundled[0].model.name] * passes_of(bundled, jacobi(16))


@pytest.mark.parametrize("branches", [0, 20])
def test_passes_do_not_depend_on_the_batch(bundled, branches):
    model, prompts = bundled
    decoder = jacobi_ngram(48, branches)
    together = model(prompts, decoder=decoder, seed=5).trace.passes
    alone = [model(prompt, decoder=decoder, seed=5 + i).trace.passes for i, prompt in enumerate(prompts)]
    assert torch.equal(together, torch.cat(alone))


def test_branches_take_fewer_passes(bundled, passes):
    assert passes_of(bundled, jacobi_ngram(16, 12)) < {"emoji": 1.05, "photo": 0.92}[bundled[0].model.name] * passes


def test_branches_to_every_token_commit_two_tokens_in_a_pass():
    grid = Grid(3, 5, 4)  # a draft and three branches are all of the four tokens
    for seed in range(20):
        drawing = Drawing(Toy(1, grid), jacobi_ngram(6, 18), PLAIN, torch.tensor([seed]))
        while not drawing.canvas.finished[0]:
            before = drawing.canvas.lengths[0]
            drawing.advance()
            assert drawing.canvas.lengths[0] >= min(before + 2, grid.size)


def test_images_without_a_pattern_take_few_more_passes():
    """A toy's laws are hashes of all that went before: nothing that was seen comes again."""
    assert mean_passes(jacobi_ngram(8), 3.0) < 1.15 * mean_passes(jacobi(8), 3.0)


# The pool.


def canvas_of(rows, grid, length):
    canvas = Canvas.blank(grid, torch.zeros(1, dtype=torch.long), 9)
    tokens = torch.tensor([[token for row in rows for token in row]])
    canvas.write(torch.arange(tokens.shape[1])[None], tokens)
    canvas.commit(length)
    return canvas


def empty_pool():
    keys = torch.zeros(1, 256 + 1, dtype=torch.long)
    return Pool(keys, torch.zeros_like(keys))


def learn(canvas, pool, index, y):
    near = Neighbours(canvas.grid, torch.tensor([index]))
    pool.learn(near, near.tokens(canvas.tokens), torch.tensor([y]))


GRID = Grid(3, 4, 16)
ROWS = [[5, 6, 7, 5], [6, 7, 5, 0], [0, 0, 0, 0]]


def drafts(canvas, pool, reached=12, W=3):
    """The drafts of the next pass; the newest answers are the tokens of the canvas."""
    vocab = canvas.grid.vocab
    correction = Correction.blank(1, W + 1, vocab, torch.zeros(vocab + 1, 1))
    index, e = canvas.ahead(W), torch.ones(1, W + 1, vocab)
    ratio = 0.01 + F.one_hot(canvas.read(index), vocab).float()  # less certain than the bonus of an n-gram
    correction.hold(Answers.of(index, ratio, torch.zeros(1, W, 1)))
    no_branches = torch.empty(1, 0, dtype=torch.long)
    known = Known(pool.keys, pool.tokens, torch.tensor([reached]), e, no_branches, *correction)
    NGrams(W)._redraft(canvas, known)
    return canvas.read(index)[0].tolist()


def test_answer_beside_the_same_neighbours_is_drafted():
    canvas = canvas_of(ROWS, GRID, 8)
    pool = empty_pool()
    learn(canvas, pool, [5], [9])  # left 6, above 6
    canvas.write(torch.tensor([[4, 8]]), torch.tensor([[6, 3]]))
    canvas.write(torch.tensor([[5, 9]]), torch.tensor([[6, 0]]))
    canvas.write(torch.tensor([[8]]), torch.tensor([[6]]))
    canvas.commit(1)
    assert drafts(canvas, pool, W=1) == [9]
    canvas.write(torch.tensor([[8]]), torch.tensor([[4]]))
    assert drafts(canvas, pool, reached=0, W=1) == [6], "the left neighbour is another one, so the one above is copied"


def test_answer_at_the_position_precedes_answers_elsewhere():
    canvas = canvas_of([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], GRID, 5)
    pool = empty_pool()
    learn(canvas, pool, [5], [2])
    learn(canvas, pool, [6], [3])  # beside the same neighbours, and newer
    assert drafts(canvas, pool, W=1) == [2]


def test_edge_is_no_token():
    canvas = canvas_of([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], GRID, 4)
    pool = empty_pool()
    learn(canvas, pool, [4], [7])  # at the edge, above 0
    assert drafts(canvas, pool, reached=0, W=2) == [7, 0]
    assert drafts(canvas_of([[0, 0, 0, 0]] * 3, GRID, 1), pool, reached=0, W=1) == [0], "left 0, above the edge"


def test_unknown_position_keeps_its_draft_or_copies_its_neighbour():
    canvas = canvas_of([[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]], GRID, 5)
    assert drafts(canvas, empty_pool(), reached=7) == [6, 7, 4]
    first = canvas_of([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], GRID, 1)
    assert drafts(first, empty_pool(), reached=1) == [1, 1, 1]


def test_leftmost_of_several_answers_is_kept():
    canvas = canvas_of([[1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 0]], GRID, 5)
    pool = empty_pool()
    learn(canvas, pool, [5, 6, 7], [2, 3, 4])
    canvas.commit(4)
    assert drafts(canvas, pool, reached=0, W=1) == [2]


def test_forced_tokens_are_drafted():
    canvas = canvas_of([[1, 2, 7], [3, 4, 7]], Grid(2, 3, 16, 15, torch.tensor([-1, -1, 15] * 2)), 1)
    assert drafts(canvas, empty_pool(), reached=9, W=5) == [2, 15, 3, 4, 15]


def test_bad_window_is_refused_by_name():
    for window in (-1, 1.5):
        with pytest.raises(ValueError, match=f"window must be a whole number of drafts >= 0, got {window}"):
            NGrams(window)


def test_bad_branches_are_refused_by_name():
    for branches, why in ((-1, ">= 0, got -1"), (0.5, ">= 0, got 0.5"), (16, "<= 15, got 16")):
        with pytest.raises(ValueError, match=f"branches must be a whole number of tokens beside 5 drafts {why}"):
            jacobi_ngram(5, branches)


def test_tokens_are_those_of_ar_at_every_temperature():
    for law in (Sampling(0.5), Sampling(2.0, top_k=5), Sampling(top_p=0.6)):
        assert torch.equal(toy(WIDE, jacobi_ngram(9), law), toy(WIDE, ar(), law))


def test_answers_past_the_image_are_not_learnt():
    canvas = canvas_of([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]], GRID, 5)
    pool = empty_pool()
    learn(canvas, pool, [13], [9])  # left 1, above 1
    assert drafts(canvas, pool, reached=0, W=1) == [1]


# The correction.


def test_correction_predicts_the_answer_behind_another_neighbour():
    """Log-probabilities that are linear in the features of the left neighbour are predicted after a few changes."""
    torch.manual_seed(0)
    V, features = 40, torch.cat([torch.randn(40, 3), torch.zeros(1, 3)])
    effect = torch.randn(3, V)
    correction = Correction.blank(1, 8, V, features)

    def p_behind(left):
        return (3 * features[left] @ effect).softmax(-1)

    index, first, then = (
        torch.arange(6)[None],
        torch.tensor([[1, 2, 3, 4, 5, 6]]),
        torch.tensor([[7, 8, 9, 10, 11, 12]]),
    )
    everywhere, nothing = torch.ones(1, 6, dtype=torch.bool), torch.tensor([[-1]])
    correction.hold(Answers.of(index, p_behind(first), features[first]))
    new = Answers.of(index, p_behind(then), features[then])
    correction.learn(new, ~everywhere)
    assert not correction.XX.any(), "not known before, so nothing has changed"
    correction.learn(new, everywhere)
    correction.hold(new)
    ready = correction.at(index, features)
    for left in range(20, 30):
        assert (
            ready.scores(torch.tensor([2]), torch.tensor([[left]]), nothing).argmax()
            == p_behind(torch.tensor([left])).argmax()
        )


def test_correction_prefers_the_answer_beside_the_same_neighbours():
    features = torch.zeros(5, 3)
    index, p = torch.zeros(1, 1, dtype=torch.long), torch.tensor([[[0.6, 0.4 - 2e-6, 1e-6, 1e-6]]])
    correction = Correction.blank(1, 1, 4, features)
    correction.hold(Answers.of(index, p, features[index]))

    def draft(anywhere):
        return int(correction.at(index, features).scores(index[0], index, torch.tensor([[anywhere]])).argmax())

    assert [draft(anywhere) for anywhere in (-1, 1, 2)] == [0, 1, 0]


def test_correction_takes_fewer_passes_than_the_pool_alone(bundled):
    if bundled[0].model.name != "photo":
        pytest.skip("distributions of emoji are nearly certain, and there the pool does as well")
    corrected = passes_of(bundled, jacobi_ngram(32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NGrams, "bind", lambda self, info: self)
        assert corrected < 0.97 * passes_of(bundled, jacobi_ngram(32))
