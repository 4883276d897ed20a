"""A key-value cache addressed by position: nothing is ever rolled back or cropped, and rows move only to fill gaps."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

BUCKET, SUMMED = 64, 192  # slots; torch's attention on a CPU sums over 192 at a time


def bucket(slots: int, device: torch.device) -> int:
    """Slots to attend to where `slots` are in use: on a CPU a multiple of 64 up to 192, of 192 beyond.

    The number of masked slots behind then changes no rounding.
    """
    if device.type != "cpu":
        return slots
    whole = BUCKET if slots <= SUMMED else SUMMED
    return -(-slots // whole) * whole


@dataclass(eq=False)
class Slots:
    """Which slots have been `written` [R, S], to which the next pass writes, `slot` [R, n], how many it may look at."""

    written: Tensor
    slot: Tensor
    visible: int
    _places: tuple[Tensor, int, Tensor] | None = None  # the last answer of `places`, and what it was about

    def places(self, heads: int) -> Tensor:
        """Where the next pass writes, counted through all rows, heads and slots: [R * heads * n]."""
        if torch.compiler.is_compiling():  # a graph finds out by itself that all layers ask for the same
            return self._counted(heads)
        if self._places is None or self._places[0] is not self.slot or self._places[1] != heads:
            self._places = self.slot, heads, self._counted(heads)
        return self._places[2]

    def _counted(self, heads: int) -> Tensor:
        rows, slots = self.written.shape
        first = torch.arange(rows * heads, device=self.slot.device).view(rows, heads, 1) * slots
        return (first + self.slot[:, None]).flatten()


class SlotCache(Cache):
    """Every row r keeps its position j in slot j; `place` says which slots the next forward pass writes.

    Rejected drafts are overwritten when their positions are asked about again. Slots that were never written, and
    slots later than a query's own, are masked. The last slot is a scrap slot: it takes what lies past the image.
    """

    def __init__(self, layers: int, rows: int, slots: int, device: torch.device):
        # Layers that knew their cache would keep its memory until the garbage collector comes by.
        held = bucket(slots + 1, device)
        self.slots = Slots(
            torch.zeros(rows, held, dtype=torch.bool, device=device),
            torch.zeros(rows, 0, dtype=torch.long, device=device),
            held,
        )
        super().__init__(layers=[SlotLayer(self.slots) for _ in range(layers)])

    @property
    def written(self) -> Tensor:
        return self.slots.written

    @property
    def empty(self) -> bool:
        """True before the first forward pass, the prefill."""
        return not self.layers[0].is_initialized

    def place(self, slot: Tensor, real: Tensor | None = None, sees: Tensor | None = None) -> Tensor:
        """Let the next pass write to `slot` [R, n]; which slots each of its queries may see: bool [R, 1, n, S].

        `real` [R, n] are the queries that later ones may see, all if it is not given: padding is not real. `sees`
        [R, n, S] narrows the written slots; without it a query sees those up to its own.
        """
        at, scrap = self.slots, self.written.shape[1] - 1
        at.slot = slot.clamp(max=scrap)
        at.written.scatter_(1, at.slot, True if real is None else real)
        if slot.device.type == "cpu":
            at.visible = bucket(int(at.slot.max()) + 1, slot.device)
        if sees is None:
            sees = torch.arange(at.visible, device=slot.device) <= at.slot[..., None]
        return (sees[..., : at.visible] & at.written[:, None, : at.visible])[:, None]

    def reserve(self, slots: int) -> None:
        """Have room for at least as many slots."""
        held = bucket(slots + 1, self.written.device)
        if held > self.written.shape[1]:
            self.slots.written = F.pad(self.written, (0, held - self.written.shape[1]))
            self.slots.visible = held
            for layer in self.layers:
                layer.hold(*(_widened(x, held) for x in (layer.keys, layer.values)))

    def select(self, rows: Tensor) -> "SlotCache":
        """Only the rows listed in `rows` [r], where this cache lies: it is not to be used any more.

        Rows that keep their number cost nothing.
        """
        part = self._empty(len(rows), self.written.shape[1])
        part.slots.written = self.written[rows]
        moved = (rows != torch.arange(len(rows), device=rows.device)).nonzero().flatten()
        for new, old in zip(part.layers, self.layers, strict=True):
            place = old.keys.device  # a sharded model has its layers in several places
            new.hold(*(_closed_up(x, moved.to(place), rows.to(place)) for x in old.room), rows=len(rows))
        return part

    def join(self, other: "SlotCache") -> "SlotCache":
        """These rows and then those of `other`, with as many slots as either needs; neither is to be used any more.

        Where rows have left this cache, and those of `other` are not longer, they are written in their places.
        """
        slots, rows = max(self.written.shape[1], other.written.shape[1]), len(self.written) + len(other.written)
        both = self._empty(rows, slots)
        both.slots.written = torch.cat([F.pad(c.written, (0, slots - c.written.shape[1])) for c in (self, other)])
        for new, a, b in zip(both.layers, self.layers, other.layers, strict=True):
            keys, values = zip(a.room, (b.keys, b.values), strict=True)
            new.hold(*(_appended(*pair, len(self.written), slots) for pair in (keys, values)), rows=rows)
        return both

    def _empty(self, rows: int, slots: int) -> "SlotCache":
        return SlotCache(len(self.layers), rows, slots - 1, self.written.device)


def _closed_up(room: Tensor, moved: Tensor, rows: Tensor) -> Tensor:
    """Each of the places `moved` gets what is in the row that `rows` lists for it."""
    if len(moved):
        room[moved] = room[rows[moved]]
    return room


def _appended(room: Tensor, more: Tensor, used: int, slots: int) -> Tensor:
    """The rows `more` behind the first `used`, in the same room if there is enough."""
    if len(room) < used + len(more) or room.shape[2] < slots:
        return torch.cat([_widened(x, slots) for x in (room[:used], more)])
    room[used : used + len(more), :, : more.shape[2]] = more
    return room


def _widened(x: Tensor, slots: int) -> Tensor:
    return F.pad(x, (0, 0, 0, slots - x.shape[2]))


class SlotLayer(CacheLayerMixin):
    """The keys and values [R, H, S, D] of one layer, in `room` for as many rows or more."""

    is_sliding = False
    is_compileable = True
    is_croppable = False

    def __init__(self, slots: Slots):
        super().__init__()
        self.slots = slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        slots = self.slots.written.shape[1]
        self.hold(*(x.new_zeros(*x.shape[:2], slots, x.shape[3]) for x in (key_states, value_states)))

    def hold(self, keys: Tensor, values: Tensor, *, rows: int | None = None) -> None:
        """Take these for room, all of it or the first `rows` of them in use."""
        self.room = keys, values
        self.keys, self.values = self.room if rows is None else (keys[:rows], values[:rows])
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        at = self.slots.places(key_states.shape[1]).to(key_states.device)
        for held, new in ((self.keys, key_states), (self.values, value_states)):
            # rows of a matrix are copied several times faster than what an index of every number finds
            held.view(-1, held.shape[-1]).index_copy_(0, at, new.flatten(0, 2))
        seen = self.slots.visible
        return self.keys[:, :, :seen], self.values[:, :, :seen]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.slots.visible, 0

    def get_seq_length(self) -> int:
        return 0  # positions are always given explicitly

    def get_max_length(self) -> int:
        return self.slots.written.shape[1]

    get_max_cache_shape = get_max_length  # its name in older releases
