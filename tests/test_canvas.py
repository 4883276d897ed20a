from dataclasses import dataclass

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fewpass import Canvas, Grid
from tests.properties import REPEATABLE

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


# The canvas against a plain model.

SIZE, MARGIN = GRID.size, 3


@dataclass
class PlainImage:
    tokens: list[int]
    final: list[bool]

    @classmethod
    def blank(cls):
        return cls([0] * (SIZE + MARGIN), [False] * SIZE)

    @property
    def length(self):
        return (*self.final, False).index(False)

    def commit(self, n):
        self.final = [final or i < self.length + n for i, final in enumerate(self.final)]

    def copy(self):
        return PlainImage(list(self.tokens), list(self.final))


class CanvasMachine(RuleBasedStateMachine):
    @initialize(images=st.integers(1, 4))
    def blank(self, images):
        self.canvas = Canvas.blank(GRID, torch.arange(images), MARGIN)
        self.images = [PlainImage.blank() for _ in range(images)]

    def for_each(self, data, values, images=None):
        """One of `values` for each image."""
        n = len(self.images if images is None else images)
        return data.draw(st.lists(values, min_size=n, max_size=n))

    def positions(self, data, n, last):
        """Different positions of each image, and the same number of them."""
        return [data.draw(st.permutations(range(last)))[:n] for _ in self.images]

    @rule(data=st.data())
    def commit_some_of_each(self, data):
        counts = self.for_each(data, st.integers(0, 3))
        self.canvas.commit(torch.tensor(counts))
        for image, n in zip(self.images, counts, strict=True):
            image.commit(n)

    @rule(n=st.integers(0, 2))
    def commit_as_many_of_all(self, n):
        self.canvas.commit(n)
        for image in self.images:
            image.commit(n)

    @rule(data=st.data(), n=st.integers(1, 4))
    def settle(self, data, n):
        index, final = (
            self.positions(data, n, SIZE),
            self.for_each(data, st.lists(st.booleans(), min_size=n, max_size=n)),
        )
        self.canvas.settle(torch.tensor(index), torch.tensor(final))
        for image, places, said in zip(self.images, index, final, strict=True):
            for i, is_final in zip(places, said, strict=True):
                image.final[i] = image.final[i] or is_final

    @rule(data=st.data(), n=st.integers(1, 4))
    def write(self, data, n):
        index = self.positions(data, n, SIZE + MARGIN)
        tokens = self.for_each(data, st.lists(st.integers(0, 99), min_size=n, max_size=n))
        self.canvas.write(torch.tensor(index), torch.tensor(tokens))
        for image, places, new in zip(self.images, index, tokens, strict=True):
            for i, token in zip(places, new, strict=True):
                image.tokens[i] = token
        assert self.canvas.read(torch.tensor(index)).tolist() == tokens

    @precondition(lambda self: len(self.images) > 1)
    @rule(data=st.data())
    def select(self, data):
        order = data.draw(st.permutations(range(len(self.images))))[: data.draw(st.integers(1, len(self.images)))]
        self.canvas = self.canvas.select(torch.tensor(order))
        self.images = [self.images[i] for i in order]

    @precondition(lambda self: len(self.images) < 6)
    @rule(data=st.data(), images=st.integers(1, 2), first=st.booleans())
    def join(self, data, images, first):
        other, plain = Canvas.blank(GRID, torch.arange(images), MARGIN), [PlainImage.blank() for _ in range(images)]
        counts = self.for_each(data, st.integers(0, SIZE), plain)
        other.commit(torch.tensor(counts))
        for image, n in zip(plain, counts, strict=True):
            image.commit(n)
        self.canvas = other.join(self.canvas) if first else self.canvas.join(other)
        self.images = plain + self.images if first else self.images + plain

    @rule(data=st.data(), token=st.integers(0, 99))
    def update(self, data, token):
        """A part goes on, which the whole does not see before it is updated."""
        chosen = data.draw(st.permutations(range(len(self.images))))[: data.draw(st.integers(1, len(self.images)))]
        counts = self.for_each(data, st.integers(0, 2), chosen)
        part, before = self.canvas.select(torch.tensor(chosen)), [image.copy() for image in self.images]
        part.write(part.ahead(1).clamp(max=SIZE), torch.full((len(chosen), 1), token))
        part.commit(torch.tensor(counts))
        self.canvas_is(before)
        self.canvas.update(torch.tensor(chosen), part)
        for i, n in zip(chosen, counts, strict=True):
            self.images[i].tokens[self.images[i].length] = token
            self.images[i].commit(n)

    @invariant()
    def canvas_is_the_plain_images(self):
        self.canvas_is(self.images)

    def canvas_is(self, images):
        lengths = [image.length for image in images]
        assert self.canvas.tokens.tolist() == [image.tokens for image in images]
        assert self.canvas.final.tolist() == [image.final for image in images]
        assert self.canvas.length.tolist() == self.canvas.lengths == lengths
        assert self.canvas.finished == [all(image.final) for image in images]
        assert self.canvas.open == SIZE - min(lengths)
        assert self.canvas.ahead(2, start=-1).tolist() == [[n - 1, n] for n in lengths]


def test_canvas_is_as_its_plain_model_after_any_steps():
    run_state_machine_as_test(CanvasMachine, settings=settings(REPEATABLE, max_examples=60, stateful_step_count=25))
