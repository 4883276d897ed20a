"""The loop, and drawings whose images come and go."""

import itertools

import pytest
import torch

from fewpass import RECIPES, Drawing, ar, decode, mc_sjd
from fewpass.testing import Toy, drawn
from tests.toys import PLAIN, WIDE

SEEDS = torch.arange(12)


class Inelastic:
    """A session whose images must stay together."""

    def __init__(self, toy):
        self.toy, self.grid, self.first, self.codebook = toy, toy.grid, toy.first, toy.codebook

    def __call__(self, query):
        return self.toy(query)


class Counting(Toy):
    """Counts the images in every pass."""

    images: list[int]

    def __call__(self, query):
        self.images.append(len(query.tokens))
        return super().__call__(query)

    def _having(self, *state):
        new = super()._having(*state)
        new.__class__, new.images = Counting, self.images
        return new


def test_decode_yields_the_same_canvas_after_every_pass():
    canvases = list(decode(Toy(12, WIDE), mc_sjd(8), PLAIN, SEEDS))
    assert all(canvas is canvases[0] for canvas in canvases)


def test_first_pass_gives_the_first_token():
    assert next(decode(Toy(12, WIDE), mc_sjd(8), PLAIN, SEEDS)).lengths == [1] * 12


def test_every_pass_commits_something():
    lengths = [canvas.length.clone() for canvas in decode(Toy(12, WIDE), mc_sjd(8), PLAIN, SEEDS)]
    for before, after in itertools.pairwise(lengths):
        assert ((after > before) | (before == WIDE.size)).all()
    assert lengths[-1].tolist() == [WIDE.size] * 12


def test_final_tokens_do_not_change():
    canvases = decode(Toy(12, WIDE), mc_sjd(8), PLAIN, SEEDS)
    history = [(canvas.final.clone(), canvas.tokens[:, : WIDE.size].clone()) for canvas in canvases]
    for final, tokens in history:
        assert torch.equal(tokens[final], history[-1][1][final])


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_session_need_not_be_elastic(recipe):
    together = drawn(Inelastic(Toy(12, WIDE)), recipe(), PLAIN, SEEDS)
    assert torch.equal(together, drawn(Toy(12, WIDE), recipe(), PLAIN, SEEDS))


def test_finished_images_leave_the_session():
    toy = Counting(12, WIDE)
    toy.images = []
    passes = sum(1 for _ in decode(toy, mc_sjd(8), PLAIN, SEEDS))
    assert toy.images == sorted(toy.images, reverse=True)
    assert toy.images[-1] < 12
    assert len(toy.images) == passes - 1  # the prompts' pass is not a query


def test_grid_of_one_token_needs_no_query():
    grid = type(WIDE)(1, 1, 8)
    assert sum(1 for _ in decode(Toy(3, grid), mc_sjd(8), PLAIN, SEEDS[:3])) == 1


@torch.inference_mode()
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("late", [1, 3])
def test_image_that_joins_late_is_drawn_as_if_alone(recipe, late):
    drawing = Drawing(Toy(4, WIDE), recipe(), PLAIN, SEEDS[:4])
    for _ in range(late):
        drawing.advance()
    drawing.join(Drawing(Toy(4, WIDE), recipe(), PLAIN, SEEDS[4:8]))
    assert drawing.step.tolist() == [late] * 4 + [0] * 4
    while not all(drawing.canvas.finished):
        drawing.advance()
    assert torch.equal(drawing.canvas.tokens[:, : WIDE.size], drawn(Toy(8, WIDE), recipe(), PLAIN, SEEDS[:8]))


@torch.inference_mode()
def test_select_in_any_order_draws_the_same_images():
    drawing = Drawing(Toy(6, WIDE), mc_sjd(4), PLAIN, SEEDS[:6])
    drawing.advance()
    drawing.select(torch.tensor([5, 0, 3]))
    drawing.advance()
    drawing.select(torch.tensor([2, 1]))
    while not all(drawing.canvas.finished):
        drawing.advance()
    alone = drawn(Toy(6, WIDE), mc_sjd(4), PLAIN, SEEDS[:6])
    assert torch.equal(drawing.canvas.tokens[:, : WIDE.size], alone[[3, 0]])


def test_autoregression_queries_one_position_per_pass():
    asked = []

    class Watched(Inelastic):
        def __call__(self, query):
            asked.append(query.index.tolist())
            return self.toy(query)

    drawn(Watched(Toy(1, WIDE)), ar(), PLAIN, SEEDS[:1])
    assert asked == [[[i]] for i in range(WIDE.size - 1)]
