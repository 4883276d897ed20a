"""PJD: Jacobi decoding of several rows at once."""

from dataclasses import replace

import pytest
import torch

from fewpass import Drawing, Grid, Sampling, decoder, pjd
from fewpass.core.loop import decode
from fewpass.decoders.pjd import ParallelRows
from fewpass.decoders.rules import FixedPoint, Speculative
from fewpass.testing import JointLaw, Toy, check_decoder, coming_and_going, drawn
from tests.test_wavefront import EVERY_GRID, ROW_ENDS, SQUARE, TALL, WIDE, Recorder
from tests.toys import FREE, GREEDY, PLAIN, one_by_one
from tests.toys import ROW_ENDS as SMALL_ROW_ENDS


def toy(grid, decoder, law=PLAIN, draw=drawn, images=24):
    return draw(Toy(images, grid, guidance=1.5), decoder, law, torch.arange(images))


# A context of whole rows: nothing is lost.


@EVERY_GRID
@pytest.mark.parametrize("window", [1, 3, 9])
def test_fixed_noise_in_whole_rows_is_autoregression(grid, window):
    """Whatever is committed, everything that it depends on is in place."""
    assert torch.equal(toy(grid, ParallelRows(window, grid.cols, FixedPoint())), toy(grid, decoder("ar")))
    assert torch.equal(toy(grid, ParallelRows(window, 99, FixedPoint())), toy(grid, decoder("ar")))


@pytest.mark.parametrize("window", [1, 3])
def test_fixed_noise_in_whole_rows_is_autoregression_on_a_transformer(pipeline, window):
    prompts = ["red stars", "one", "two blue stars on a red background"]
    for settings in ({}, {"guidance": 1.0, "top_k": 10}):
        expected = pipeline(prompts, decoder="ar", seed=1, **settings).tokens
        drawn = pipeline(prompts, decoder=ParallelRows(window, 4, FixedPoint()), seed=1, **settings).tokens
        assert torch.equal(drawn, expected)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_whole_rows_are_sjd_in_each_row(window):
    """The first row has the tokens of SJD, which ends there; the law test is about the others."""
    first = drawn(Toy(200, Grid(1, 6, 9)), decoder(f"sjd(window={window})"), PLAIN, torch.arange(200))
    rows = drawn(Toy(200, Grid(3, 6, 9)), pjd(window, 6), PLAIN, torch.arange(200))
    assert torch.equal(rows[:, :6], first)


@pytest.mark.parametrize(
    "law",
    [
        JointLaw(FREE, PLAIN),
        JointLaw(FREE, Sampling(0.7, top_k=3), guidance=2.0),
        JointLaw(SMALL_ROW_ENDS, Sampling(top_p=0.95)),
    ],
    ids=["plain", "top-k, guidance", "row ends, top-p"],
)
def test_whole_rows_have_the_exact_law(law):
    figure = check_decoder(pjd(2, law.grid.cols), law, images=40_000)
    assert figure.exact, figure


def test_whole_rows_have_the_exact_law_in_ragged_batches():
    figure = check_decoder(pjd(2, 3), JointLaw(FREE, PLAIN), images=40_000, draw=coming_and_going)
    assert figure.exact, figure


def test_less_context_fails_the_joint_law_test():
    figure = check_decoder(pjd(2, 1), JointLaw(FREE, PLAIN, sharpness=3.0), images=20_000)
    assert figure.z > 10, figure


def test_less_context_saves_passes():
    def passes(decoder):
        return sum(1 for _ in decode(Toy(20, Grid(6, 8, 9)), decoder, PLAIN, torch.arange(20)))

    assert passes(pjd(4, 2)) < passes(pjd(4, 4)) < passes(pjd(4, 8))


# What it asks.


def lines(grid):
    """Where the rows begin, how long they are, and which of them open a grid."""
    start = 0
    for rows, cols in grid.grids:
        for row in range(rows):
            yield start, cols, row == 0
            start += cols


@EVERY_GRID
@pytest.mark.parametrize(("window", "context"), [(1, 1), (3, 2), (9, 1)])
def test_queries_are_those_of_the_paper(grid, window, context):
    session = Recorder(Toy(3, grid))
    drawing = Drawing(session, pjd(window, context), PLAIN, torch.arange(3))
    while not all(drawing.canvas.finished):
        final = drawing.canvas.final.clone()
        drawing.advance()
        query = session.queries[-1]
        for image in range(3):
            asked = query.index[image] + 1
            above = 0
            for start, width, opens in lines(grid):
                n = int(final[image, start : start + width].sum())
                above = width * bool(final[image, :start].all()) if opens else above
                targets = sorted(t for t in asked.tolist() if start + n <= t < start + width)
                assert targets == list(range(start + n, start + n + len(targets)))
                if n == width or above < min(context, width):
                    assert not targets
                else:
                    assert len(targets) == max(min(window + 1, above - n), min(n, 1))  # the newest token is fed anyway
                above = n


@EVERY_GRID
@pytest.mark.parametrize(("window", "context"), [(1, 1), (3, 2), (9, 1)])
def test_drafts_attend_to_final_tokens_and_their_own_row(grid, window, context):
    row = torch.cat([torch.full((width,), number) for number, (_, width, _) in enumerate(lines(grid))])
    row = torch.cat([row, row[-1:], row[-1:]])  # past the image
    slot = torch.arange(grid.size + 1)
    session = Recorder(Toy(3, grid))
    drawing = Drawing(session, pjd(window, context), PLAIN, torch.arange(3))
    while not all(drawing.canvas.finished):
        final = torch.nn.functional.pad(drawing.canvas.final, (0, 1))
        drawing.advance()
        query = session.queries[-1]
        own = row[slot + 1] == row[query.index + 1][..., None]
        assert torch.equal(query.sees, (slot <= query.index[..., None]) & (final[:, None] | own))


@EVERY_GRID
@pytest.mark.parametrize("draw", [coming_and_going, one_by_one])
@pytest.mark.parametrize(("window", "context"), [(1, 1), (3, 2)])
def test_image_does_not_depend_on_its_batch(grid, draw, window, context):
    chosen = pjd(window, context)
    assert torch.equal(toy(grid, chosen, draw=draw, images=7), toy(grid, chosen, images=7))


@pytest.mark.parametrize(("window", "context"), [(2, 1), (5, 2)])
def test_image_of_a_transformer_does_not_depend_on_its_batch(pipeline, window, context):
    prompts = ["red stars", "one", "two blue stars on a red background", "a background"]
    together = pipeline(prompts, decoder=pjd(window, context), seed=5).tokens
    for i, prompt in enumerate(prompts):
        assert torch.equal(pipeline(prompt, decoder=pjd(window, context), seed=5 + i).tokens[0], together[i])


def test_rows_stay_in_order_and_grow_from_the_left():
    for grid in (SQUARE, WIDE, TALL):
        for canvas in decode(Toy(5, grid), pjd(3, 1), PLAIN, torch.arange(5)):
            final = canvas.final.view(5, grid.rows, grid.cols)
            assert (final.long().cummin(2).values == final).all()
            assert (final.sum(2).diff(dim=1) <= 0).all()


def test_topmost_row_commits_in_every_pass():
    drawing = Drawing(Toy(30, SQUARE), pjd(3, 1), PLAIN, torch.arange(30))
    while not all(drawing.canvas.finished):
        before = drawing.canvas.length
        drawing.advance()
        assert (drawing.canvas.length > before).logical_or(before == SQUARE.size).all()


def test_lower_rows_commit_only_accepted_drafts():
    drawing, lower = Drawing(Toy(50, SQUARE), pjd(3, 1), PLAIN, torch.arange(50)), 0
    while not all(drawing.canvas.finished):
        drafts, final = drawing.canvas.tokens[:, : SQUARE.size].clone(), drawing.canvas.final
        top = final.view(50, 5, 5).all(2).long().cumprod(1).sum(1, keepdim=True)
        drawing.advance()
        new = drawing.canvas.final & ~final & (torch.arange(SQUARE.size) // 5 > top)
        assert torch.equal(drawing.canvas.tokens[:, : SQUARE.size][new], drafts[new])
        lower += int(new.sum())
    assert lower > 50


def test_forced_tokens_are_drawn():
    tokens = toy(ROW_ENDS, pjd(3, 2))
    assert (tokens.view(-1, 4, 5)[:, :, 4] == 8).all()
    assert (tokens.view(-1, 4, 5)[:, :, :4] < 8).all()


def test_temperature_0_in_whole_rows_is_greedy():
    assert torch.equal(toy(SQUARE, pjd(3, 5), GREEDY), toy(SQUARE, decoder("ar"), GREEDY))


def test_rows_take_any_rule():
    for rule in (Speculative(), decoder("gsd(distance=0.9)").rule, decoder("sjd_block").rule, decoder("gs_sjd").rule):
        together = toy(SQUARE, ParallelRows(3, 2, rule), images=9)
        assert torch.equal(toy(SQUARE, ParallelRows(3, 2, rule), draw=coming_and_going, images=9), together)
    exact = check_decoder(ParallelRows(2, 3, decoder("sjd_block").rule), JointLaw(FREE, PLAIN), images=20_000)
    assert exact.exact, exact


# What cannot be.


def test_grid_of_one_row_is_refused():
    with pytest.raises(ValueError, match=r"pjd\(window=3, context=2.*rows.*1 x 9"):
        Drawing(Toy(1, Grid(1, 9, 4)), pjd(3, 2), PLAIN, torch.arange(1))


@pytest.mark.parametrize("options", [{"window": 0}, {"context": 0}, {"window": -1}])
def test_options_out_of_range_are_refused(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        pjd(**options)


def test_rule_is_bound():
    rule = ParallelRows(2, 3, decoder("lantern").rule)
    found = Drawing(Toy(1, SQUARE), rule, PLAIN, torch.arange(1)).decoder.rule.test.nearest
    assert torch.equal(found, Toy(1, SQUARE).codebook.nearest(1000))
    assert replace(rule, rule=Speculative()) == ParallelRows(2, 3)
