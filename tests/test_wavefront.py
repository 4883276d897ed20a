"""ZipAR: rows drawn side by side, each a head start behind the one above."""

import pytest
import torch

from fewpass import Drawing, Grid, Query, Sampling, Trace, decoder, zipar
from fewpass.core.loop import decode
from fewpass.core.noise import Noise
from fewpass.testing import Toy, coming_and_going, drawn
from tests.toys import GREEDY, PLAIN, one_by_one

SQUARE = Grid(5, 5, 9)
WIDE = Grid(3, 7, 9)
TALL = Grid(7, 3, 9)
ENDS = torch.tensor([-1, -1, -1, -1, 8])
ROW_ENDS = Grid(4, 5, 9, codes=8, forced=ENDS.repeat(4))
PREVIEW = Grid(4, 5, 9, before=((2, 3),))
GRIDS = {"square": SQUARE, "wide": WIDE, "tall": TALL, "row_ends": ROW_ENDS, "preview": PREVIEW}
EVERY_GRID = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
KINDS = pytest.mark.parametrize("adaptive", [False, True], ids=["fixed", "adaptive"])


def toy(grid, decoder, law=PLAIN, draw=drawn, images=24):
    return draw(Toy(images, grid, guidance=1.5), decoder, law, torch.arange(images))


def trace_of(grid, decoder, images=6, kind=Toy, law=PLAIN):
    trace = Trace.blank(images, grid)
    for count, canvas in enumerate(decode(kind(images, grid), decoder, law, torch.arange(images)), start=1):
        trace.note(canvas, torch.full_like(trace.passes, count))
    return trace


class Recorder:
    """A session that remembers what it was asked."""

    def __init__(self, session):
        self.session, self.grid, self.first, self.queries = session, session.grid, session.first, []

    def __call__(self, query):
        self.queries.append(query)
        return self.session(query)


@EVERY_GRID
@KINDS
@pytest.mark.parametrize("extra", [0, 3])
def test_window_of_a_row_is_autoregression(grid, adaptive, extra):
    assert torch.equal(toy(grid, zipar(grid.cols + extra, adaptive)), toy(grid, decoder("ar")))


@KINDS
def test_window_of_a_row_is_autoregression_on_a_transformer(pipeline, adaptive):
    prompts = ["red stars", "one", "two blue stars on a red background"]
    for settings in ({}, {"guidance": 1.0, "top_k": 10}):
        expected = pipeline(prompts, decoder="ar", seed=1, **settings).tokens
        assert torch.equal(pipeline(prompts, decoder=zipar(4, adaptive), seed=1, **settings).tokens, expected)


@EVERY_GRID
@pytest.mark.parametrize("window", [1, 2, 3])
def test_passes_are_known_in_advance(grid, window):
    passes = trace_of(grid, zipar(window)).committed.view(6, -1)
    before = 0
    for rows, cols in grid.grids:
        r, c = torch.arange(rows)[:, None], torch.arange(cols)
        expected = before + r * min(window, cols) + c + 1
        here = passes[:, sum(a * b for a, b in grid.grids[: grid.grids.index((rows, cols))]) :][:, : rows * cols]
        assert (here == expected.flatten()).all()
        before += cols + (rows - 1) * min(window, cols)
    assert trace_of(grid, zipar(window)).passes.unique().tolist() == [before]


def slow(grid, window, seed, law):
    """ZipAR for one image, cell by cell, as the paper tells it."""
    model, noise = Toy(1, grid), Noise(torch.tensor([seed]), torch.tensor([0]))
    words, tokens = {}, {}  # what is kept at each position; what has been drawn

    def draw(index, logits):
        tokens[index] = int(noise.gumbel_max(law(logits), torch.tensor([[index]])))

    draw(0, model.first)
    while len(tokens) < grid.size:
        asked = []
        for row in range(grid.rows):
            mine = [c for c in range(grid.cols) if row * grid.cols + c in tokens]
            above = [c for c in range(grid.cols) if row and (row - 1) * grid.cols + c in tokens]
            if len(mine) == grid.cols or (row and len(above) < min(window, grid.cols)):
                continue
            target = row * grid.cols + len(mine)
            fed = tokens.get(target - 1)
            if fed is None:  # the end of the row above is not there yet
                fed = int(grid.due(torch.tensor(target - 1)))
                fed = tokens[(row - 1) * grid.cols + len(above) - 1] if fed < 0 else fed
            asked.append((target, fed))
            if row and len(above) == grid.cols and mine:  # it is now, and takes the place of its stand-in
                words[row * grid.cols - 1] = model.word(torch.tensor(tokens[row * grid.cols - 1]), row * grid.cols - 1)
        for target, fed in asked:
            words[target - 1] = model.word(torch.tensor(fed), target - 1)
        for target, _ in asked:
            seen = sum(word for slot, word in words.items() if slot < target)
            draw(target, model.logits(torch.as_tensor(seen).view(1, 1), torch.tensor([[target]])))
    return [tokens[index] for index in range(grid.size)]


@pytest.mark.parametrize("grid", [SQUARE, WIDE, TALL, ROW_ENDS], ids=["square", "wide", "tall", "row_ends"])
@pytest.mark.parametrize("window", [1, 2, 4])
def test_queries_are_those_of_the_paper(grid, window):
    tokens = drawn(Toy(8, grid), zipar(window), PLAIN, torch.arange(8))
    assert tokens.tolist() == [slow(grid, window, seed, PLAIN) for seed in range(8)]


@EVERY_GRID
@KINDS
@pytest.mark.parametrize("draw", [coming_and_going, one_by_one])
@pytest.mark.parametrize("window", [1, 2])
def test_image_does_not_depend_on_its_batch(grid, adaptive, draw, window):
    chosen = zipar(window, adaptive)
    assert torch.equal(toy(grid, chosen, draw=draw, images=7), toy(grid, chosen, images=7))


@KINDS
@pytest.mark.parametrize("window", [1, 3])
def test_image_of_a_transformer_does_not_depend_on_its_batch(pipeline, adaptive, window):
    prompts = ["red stars", "one", "two blue stars on a red background", "a background"]
    together = pipeline(prompts, decoder=zipar(window, adaptive), seed=5).tokens
    for i, prompt in enumerate(prompts):
        assert torch.equal(pipeline(prompt, decoder=zipar(window, adaptive), seed=5 + i).tokens[0], together[i])


def test_row_is_opened_by_the_row_end_or_the_newest_token_above():
    for grid, forced in ((ROW_ENDS, True), (SQUARE, False)):
        session = Recorder(Toy(1, grid))
        *_, canvas = decode(session, zipar(2), PLAIN, torch.arange(1))
        query = session.queries[1]  # row 0 has two tokens
        fed = dict(zip(query.index[0].tolist(), query.tokens[0].tolist(), strict=True))
        assert set(fed) == {1, 4, grid.size}
        assert fed[4] == (8 if forced else canvas.tokens[0, 1])


def test_query_covers_open_rows_only():
    session = Recorder(Toy(3, SQUARE))
    *_, _ = decode(session, zipar(2), PLAIN, torch.arange(3))
    assert max(query.index.shape[1] for query in session.queries) == 1 + 3  # the end above; ceil(5 / 2) rows
    assert session.queries[0].index.shape[1] == 2


def test_forced_tokens_are_drawn():
    for adaptive in (False, True):
        tokens = toy(ROW_ENDS, zipar(2, adaptive))
        assert (tokens.view(-1, 4, 5)[:, :, 4] == 8).all()
        assert (tokens.view(-1, 4, 5)[:, :, :4] < 8).all()


@KINDS
def test_impossible_codes_are_never_drawn(adaptive):
    """The second look at the first token of a row may forbid what the first look allowed."""
    law, seen = Sampling(top_k=2), []

    def watched(logits):
        seen.append(law(logits))
        return seen[-1]

    drawing = Drawing(Recorder(Toy(20, SQUARE)), zipar(2, adaptive), watched, torch.arange(20))
    while not all(drawing.canvas.finished):
        before = drawing.canvas.final
        drawing.advance()
        index = drawing.session.queries[-1].index + 1
        inside = index.clamp(max=SQUARE.size - 1)
        new = (drawing.canvas.final & ~before).gather(1, inside) & (index < SQUARE.size)
        assert new.sum() == (drawing.canvas.final & ~before).sum()
        assert (seen[-1].gather(-1, drawing.canvas.read(inside)[..., None])[..., 0][new] > 0).all()


# The adaptive head start.


def test_first_token_of_a_row_is_redrawn_until_accepted():
    """Rows start no earlier than with the fixed window, one pass later at least, and no later than after a row."""
    passes = trace_of(SQUARE, zipar(2, True), images=200).committed.view(-1, 5, 5)
    lag = passes[:, 1:, 0] - passes[:, :-1, 0]
    assert lag.min() == 3
    assert lag.max() == 5
    assert ((passes[:, :, 1:] - passes[:, :, :-1]) == 1).all()
    late = trace_of(SQUARE, zipar(4, True), images=200).committed.view(-1, 5, 5)
    assert (late[:, 1:, 0] - late[:, :-1, 0] == 5).all()


def test_first_token_of_an_unchanged_distribution_is_accepted_at_once():
    """Greedy and alike laws: the second look confirms the first."""

    class Same(Toy):
        def logits(self, prefix, index):
            return super().logits(prefix * 0, index)

    passes = trace_of(SQUARE, zipar(2, True), 4, Same, GREEDY).committed.view(-1, 5, 5)
    assert (passes[:, 1:, 0] - passes[:, :-1, 0] == 3).all()


def test_first_token_is_distributed_as_its_last_p():
    """Whether it stood or was drawn again, it is a draw from the newest law: here that of the whole row above."""
    grid = Grid(2, 3, 4)
    tokens = drawn(Toy(20_000, grid), zipar(2, True), PLAIN, torch.arange(20_000))
    toy_ = Toy(20_000, grid)
    p = PLAIN(toy_(Query(tokens[:, :3], torch.arange(3).expand(20_000, -1))))[:, 2]
    trace = trace_of(grid, zipar(2, True), images=2000)
    assert trace.committed[:, 3].unique().tolist() == [4]  # one look more, and the row above is finished
    z = (torch.nn.functional.one_hot(tokens[:, 3], 4) - p).sum(0) / (p * (1 - p)).sum(0).sqrt()
    assert z.abs().max() < 5


# What cannot be.


def test_grid_of_one_row_is_refused():
    with pytest.raises(ValueError, match=r"zipar\(window=3.*rows.*1 x 9"):
        Drawing(Toy(1, Grid(1, 9, 4)), zipar(3), PLAIN, torch.arange(1))


@pytest.mark.parametrize("window", [0, -2])
def test_window_out_of_range_is_refused(window):
    with pytest.raises(ValueError, match=f"window.*{window}"):
        zipar(window)


def test_partial_canvas_marks_final_tokens():
    beyond = 0
    for canvas in decode(Toy(2, SQUARE), zipar(2), PLAIN, torch.arange(2)):
        final = canvas.final.view(2, 5, 5)
        assert (final.long().cummin(2).values == final).all()  # every row from the left
        prefix = canvas.final.long().cumprod(1).sum(1)
        assert torch.equal(canvas.length, prefix)
        assert canvas.finished == final.flatten(1).all(1).tolist()
        beyond += int((canvas.final.sum(1) > canvas.length).sum())
    assert beyond > 0  # rows further down have begun
