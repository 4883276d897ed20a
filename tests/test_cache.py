"""The key-value cache against a plain model: each row is a dictionary from slots to the numbers written there."""

from dataclasses import dataclass, field

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fewpass.runtime.kv_cache import BUCKET, SlotCache
from tests.properties import REPEATABLE

LAYERS, HEADS = 2, 2
MOST_ROWS = 7
EDGES = [0, 1, 2, 5, BUCKET - 2, BUCKET - 1, BUCKET, 2 * BUCKET - 2, 2 * BUCKET - 1, 2 * BUCKET, 200]


@dataclass
class PlainRow:
    """Slots: the number each holds, None for any number, and those that later queries may see."""

    held: dict[int, float | None] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)


@dataclass(eq=False)
class Pair:
    """A cache and the rows that it should hold."""

    cache: SlotCache
    rows: list[PlainRow]

    @property
    def scrap(self) -> int:
        return self.cache.written.shape[1] - 1


def as_kept(stamps: torch.Tensor, layer: int) -> torch.Tensor:
    """Numbers [R, n] as one layer keeps them: different ones in each head. [R, H, n, 1]"""
    return (stamps[:, None] + layer / 4 + torch.arange(HEADS)[:, None] / 2)[..., None]


class CacheMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.pairs: list[Pair] = []
        self.stamp = 0

    @property
    def total(self) -> int:
        return sum(len(pair.rows) for pair in self.pairs)

    @precondition(lambda self: self.total < MOST_ROWS)
    @rule(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3), slots=st.sampled_from([6, *EDGES[4:]]))
    def open(self, lengths, slots):
        """A new cache whose first pass writes prompts, padded on the right."""
        cache = SlotCache(LAYERS, len(lengths), slots, torch.device("cpu"))
        self.pairs.append(Pair(cache, [PlainRow() for _ in lengths]))
        slot = torch.arange(max(lengths)).expand(len(lengths), -1)
        self.write(self.pairs[-1], slot, real=slot < torch.tensor(lengths)[:, None])

    @precondition(lambda self: self.pairs)
    @rule(data=st.data(), n=st.integers(1, 4), narrowed=st.booleans())
    def pass_over_a_window(self, data, n, narrowed):
        """Every row is asked about its own window, which may lie past the end of the cache."""
        pair = data.draw(st.sampled_from(self.pairs))
        start = data.draw(st.lists(st.sampled_from(EDGES), min_size=len(pair.rows), max_size=len(pair.rows)))
        slot = torch.tensor(start)[:, None] + torch.arange(n)
        sees = None
        if narrowed:  # each query sees two of three slots
            every = torch.arange(pair.scrap + 1)
            sees = (every + slot[..., None]) % 3 != data.draw(st.integers(0, 2))
        self.write(pair, slot, sees=sees)

    @precondition(lambda self: self.pairs)
    @rule(data=st.data(), slots=st.sampled_from(EDGES))
    def reserve(self, data, slots):
        pair = data.draw(st.sampled_from(self.pairs))
        before = pair.cache.get_max_length()
        pair.cache.reserve(slots)
        assert pair.cache.get_max_length() >= max(before, slots + 1)

    @precondition(lambda self: self.pairs)
    @rule(data=st.data())
    def select(self, data):
        pair = data.draw(st.sampled_from(self.pairs))
        order = data.draw(st.permutations(range(len(pair.rows))))[: data.draw(st.integers(1, len(pair.rows)))]
        chosen = Pair(pair.cache.select(torch.tensor(order)), [pair.rows[i] for i in order])
        self.pairs[self.pairs.index(pair)] = chosen

    @precondition(lambda self: len(self.pairs) > 1)
    @rule(data=st.data())
    def join(self, data):
        one, other = data.draw(st.permutations(self.pairs))[:2]
        for pair in (one, other):  # all slots move, up to the last
            self.write(pair, torch.full((len(pair.rows), 1), pair.scrap - 1))
        self.pairs = [pair for pair in self.pairs if pair not in (one, other)]
        self.pairs.append(Pair(one.cache.join(other.cache), one.rows + other.rows))

    def write(self, pair, slot, real=None, sees=None):
        """One forward pass: the mask and what each layer returns are those of the plain rows."""
        mask = pair.cache.begin_pass(slot, real=real, sees=sees)
        visible = mask.shape[-1]
        stamps = (self.stamp + torch.arange(1, slot.numel() + 1).double()).view(slot.shape)
        self.stamp += slot.numel()
        for r, row in enumerate(pair.rows):
            for i, s in enumerate(slot[r].clamp(max=pair.scrap).tolist()):
                row.held[s] = None if s == pair.scrap else float(stamps[r, i])
                (row.written.discard if real is not None and not real[r, i] else row.written.add)(s)
        for r, row in enumerate(pair.rows):
            for i, s in enumerate(slot[r].clamp(max=pair.scrap).tolist()):
                seen = {j for j in row.written if (j <= s if sees is None else sees[r, i, j])}
                assert set(mask[r, 0, i].nonzero().flatten().tolist()) == {j for j in seen if j < visible}
                assert sees is not None or max(seen, default=0) < visible
        for number, layer in enumerate(pair.cache.layers):
            keys, values = as_kept(stamps, number), -as_kept(stamps, number)
            kept = layer.update(keys, values)
            assert [x.shape for x in kept] == [(len(pair.rows), HEADS, visible, 1)] * 2
        assert pair.cache.layers[0].get_mask_sizes(slot.shape[1]) == (visible, 0)

    @invariant()
    def caches_hold_what_was_written(self):
        for pair in self.pairs:
            written = [set(row.nonzero().flatten().tolist()) for row in pair.cache.written]
            assert written == [row.written for row in pair.rows]
            known = [(r, s, x) for r, row in enumerate(pair.rows) for s, x in row.held.items() if x is not None]
            rows, slots, stamps = (torch.tensor(part) for part in zip(*known, strict=True))
            for number, layer in enumerate(pair.cache.layers):
                expected = as_kept(stamps[:, None].double(), number)[:, :, 0]
                assert torch.equal(layer.keys[rows, :, slots], expected)
                assert torch.equal(layer.values[rows, :, slots], -expected)
                # Masked slots are multiplied by 0, which only finite numbers survive.
                assert layer.keys.isfinite().all()
                assert layer.values.isfinite().all()


def test_cache_holds_what_was_written_through_select_join_and_reserve():
    run_state_machine_as_test(CacheMachine, settings=settings(REPEATABLE, max_examples=60, stateful_step_count=25))
