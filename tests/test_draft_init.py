import pytest
import torch

from fewpass import Canvas, Grid
from fewpass.decoders.draft_init import DRAFT_INITS, Proposals, above, above_sample, left, left_sample, named, uniform

GRID = Grid(3, 4, 5)
SURE = torch.eye(5)
NOTHING = [0.2] * 5


def state(committed=6):
    """Token 0, 1, 2, ... (mod 5) at the positions known so far; the law of position j is (j, 1, 1, 1, 1), scaled."""
    canvas = Canvas.blank(GRID, torch.arange(1), 8)
    canvas.tokens[:] = torch.arange(20) % 5
    canvas.commit(committed)
    laws = Proposals(torch.zeros(1, 12, 5))
    laws.write(torch.arange(committed)[None], torch.stack([law_of(j) for j in range(committed)])[None])
    return canvas, laws


def law_of(position):
    law = torch.tensor([float(position), 1, 1, 1, 1])
    return law / law.sum()


def guesses(guess, index, last=5):
    canvas, laws = state()
    return guess(canvas, laws, torch.tensor([index]), torch.tensor([[last]]))[0]


def test_uniform_covers_all_codes():
    assert guesses(uniform, [6, 7]).tolist() == torch.full((2, 5), 0.2).tolist()


def test_left_is_one_hot_at_the_newest_token_of_the_row():
    # Positions 6 and 7 are in the row of position 5, the newest; 8 begins the next.
    assert torch.equal(guesses(left, [6, 7, 8]), torch.stack([SURE[0], SURE[0], torch.full((5,), 0.2)]))


def test_left_sample_is_the_proposal_of_the_newest_position_of_the_row():
    assert torch.equal(guesses(left_sample, [6, 7, 8]), torch.stack([law_of(5), law_of(5), torch.full((5,), 0.2)]))


def test_above_is_one_hot_at_the_token_one_row_up():
    # Over 6 is 2, over 9 is 5, over 10 is 6, which has no token yet.
    assert torch.equal(guesses(above, [6, 9, 10]), torch.stack([SURE[2], SURE[0], torch.full((5,), 0.2)]))


def test_above_sample_is_the_proposal_one_row_up():
    assert torch.equal(guesses(above_sample, [6, 9, 10]), torch.stack([law_of(2), law_of(5), torch.full((5,), 0.2)]))


@pytest.mark.parametrize("guess", [above, above_sample])
def test_above_is_uniform_in_the_first_row(guess):
    canvas, laws = state(committed=1)
    assert torch.equal(guess(canvas, laws, torch.tensor([[1, 2, 3]]), torch.tensor([[0]]))[0], torch.full((3, 5), 0.2))


@pytest.mark.parametrize("guess", [left, left_sample])
def test_left_is_uniform_in_the_first_column(guess):
    canvas, laws = state(committed=4)
    assert torch.equal(guess(canvas, laws, torch.tensor([[4, 5]]), torch.tensor([[3]]))[0], torch.full((2, 5), 0.2))


@pytest.mark.parametrize("guess", DRAFT_INITS.values(), ids=DRAFT_INITS)
def test_draft_init_is_a_distribution_at_every_position(guess):
    for last in range(1, 12):
        canvas, laws = state(committed=last + 1)
        index = torch.arange(last + 1, last + 5)[None]
        law = guess(canvas, laws, index, torch.tensor([[last]]))
        assert law.shape == (1, 4, 5)
        assert torch.allclose(law.sum(-1), torch.ones(1, 4))


def test_unknown_draft_init_is_refused_by_name():
    with pytest.raises(ValueError, match=f"`guess` must be one of {', '.join(DRAFT_INITS)}, got 'up'"):
        named("up")
