import torch

from fewpass import Canvas, Grid

# Three codes and a row end; the last position is forced too.
GRID = Grid(2, 3, 4, codes=3, forced=torch.tensor([-1, -1, 3, -1, 1, 3]))
INF = float("inf")


def test_size_counts_row_ends():
    assert GRID.size == 6


def test_uniform_is_over_the_codes_only():
    law = GRID.uniform(torch.zeros(1, dtype=torch.float64))
    assert law.dtype == torch.float64
    assert torch.allclose(law, torch.tensor([1 / 3, 1 / 3, 1 / 3, 0], dtype=torch.float64))
    assert torch.equal(Grid(2, 3, 4).uniform(torch.zeros(1)), torch.full((4,), 0.25))


def test_due_is_the_forced_token_and_minus_one_past_the_image():
    assert GRID.due(torch.tensor([[0, 2, 4, 5, 6, 99]])).tolist() == [[-1, 3, 1, 3, -1, -1]]
    assert Grid(2, 3, 4).due(torch.tensor([0, 9])).tolist() == [-1, -1]


def test_forbid_leaves_codes_where_it_is_free_and_one_token_where_it_is_forced():
    logits = torch.arange(1.0, 5.0).expand(1, 3, -1)
    allowed = GRID.forbid(torch.tensor([[0, 2, 4]]), logits)
    assert allowed.tolist() == [[[1, 2, 3, -INF], [-INF, -INF, -INF, 4], [-INF, 2, -INF, -INF]]]
    assert torch.equal(Grid(2, 3, 4).forbid(torch.tensor([[0, 2, 4]]), logits), logits)


def test_force_gives_one_hot_distributions():
    q = torch.full((1, 3, 4), 0.25)
    assert GRID.force(torch.tensor([[0, 2, 4]]), q).tolist() == [[[0.25] * 4, [0, 0, 0, 1], [0, 1, 0, 0]]]


def test_certain_is_one_hot():
    assert GRID.certain(torch.tensor([2, 0]), torch.zeros(1)).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]


def test_blank_canvas_includes_the_margin():
    canvas = Canvas.blank(GRID, torch.arange(2), 3)
    assert canvas.tokens.shape == (2, 9)
    assert canvas.final.shape == (2, 6)
    assert canvas.lengths == [0, 0]
    assert canvas.finished == [False, False]


def test_commits_are_ragged_and_end_with_the_image():
    canvas = Canvas.blank(GRID, torch.arange(2), 3)
    canvas.commit(torch.tensor([1, 5]))
    assert canvas.lengths == [1, 5]
    assert canvas.ahead(2).tolist() == [[1, 2], [5, 6]]
    assert canvas.ahead(2, start=-1).tolist() == [[0, 1], [4, 5]]
    canvas.commit(torch.tensor([1, 3]))
    assert canvas.lengths == [2, 6]
    assert canvas.finished == [False, True]
    assert canvas.final.sum(1).tolist() == [2, 6]


def test_read_returns_written_tokens():
    canvas = Canvas.blank(GRID, torch.arange(2), 3)
    index = torch.tensor([[0, 8], [2, 3]])
    canvas.write(index, torch.tensor([[1, 2], [3, 4]]))
    assert canvas.read(index).tolist() == [[1, 2], [3, 4]]
    assert canvas.tokens.sum() == 10


def test_update_writes_a_selected_part_back():
    whole = Canvas.blank(GRID, torch.arange(3), 1)
    whole.commit(torch.tensor([1, 2, 3]))
    chosen = torch.tensor([2, 0])
    part = whole.select(chosen)
    assert part.lengths == [3, 1]
    part.write(torch.tensor([[0], [0]]), torch.tensor([[7], [8]]))
    part.commit(1)
    assert whole.lengths == [1, 2, 3]
    whole.update(chosen, part)
    assert whole.lengths == [2, 2, 4]
    assert whole.tokens[:, 0].tolist() == [8, 0, 7]


def test_join_appends_images():
    a, b = Canvas.blank(GRID, torch.arange(1), 1), Canvas.blank(GRID, torch.arange(2), 1)
    b.commit(2)
    assert a.join(b).lengths == [0, 2, 2]
