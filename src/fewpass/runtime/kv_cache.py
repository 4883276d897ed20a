"""A key-value cache addressed by position: nothing is ever rolled back or cropped."""

from dataclasses import dataclass
from typing import Self

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
    """Slots `written` so far [R, S], slots that the next pass writes, `slot` [R, n], and the number `visible` to it."""

    written: Tensor
    slot: Tensor
    visible: int
    _indices: tuple[Tensor, int, Tensor] | None = None  # `slot`, heads and result of the last call of `indices`

    def indices(self, heads: int) -> Tensor:
        """Indices of the slots that the next pass writes, among those of all rows and heads: [R * heads * n]."""
        if torch.compiler.is_compiling():  # the compiler merges equal calls of all layers
            return self._counted(heads)
        if self._indices is None or self._indices[0] is not self.slot or self._indices[1] != heads:
            self._indices = self.slot, heads, self._counted(heads)
        return self._indices[2]

    def _counted(self, heads: int) -> Tensor:
        rows, slots = self.written.shape
        first = torch.arange(rows * heads, device=self.slot.device).view(rows, heads, 1) * slots
        return (first + self.slot[:, None]).flatten()


class SlotCache(Cache):
    """A KV cache in which position j of a row lies in slot j; `begin_pass` sets the slots of the next forward pass.

    Rejected drafts are overwritten when their positions are fed again. Slots that were never written, and
    slots later than a query's own, are masked. The last slot takes positions past the
    image.
    """

    def __init__(self, layers: int, rows: int, slots: int, device: torch.device):
        # Layers refer to `slots`, not to the cache: a cycle would keep memory until garbage collection.
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

    def begin_pass(self, slot: Tensor, real: Tensor | None = None, sees: Tensor | None = None) -> Tensor:
        """Set the slots that the next pass writes.

        Args:
            slot: Slots of the queries, int64 [R, n].
            real: Queries that later ones may attend to, bool [R, n]; None for all. Padding is not real.
            sees: Written slots that a query attends to, bool [R, n, S]; None for those up to its own.

        Returns:
            The attention mask, bool [R, 1, n, S].
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
        """Grow to at least `slots` slots."""
        held = bucket(slots + 1, self.written.device)
        more = held - self.written.shape[1]
        if more > 0:
            self.slots.written, self.slots.visible = F.pad(self.written, (0, more)), held
            for layer in self.layers:
                layer.hold(*(F.pad(x, (0, 0, 0, more)) for x in (layer.keys, layer.values)))

    def select(self, rows: Tensor) -> Self:
        """This cache with the rows listed in `rows` [r] only, in the same memory; rows that keep their place stay."""
        moved = (rows != torch.arange(len(rows), device=rows.device)).nonzero().flatten()
        self.slots.written = self.written[rows]
        for layer in self.layers:
            new, old = (x.to(layer.device) for x in (moved, rows[moved]))  # a sharded model's layers are elsewhere
            for memory in layer.memory:
                memory[new] = memory[old]
            layer.hold(*layer.memory, rows=len(rows))
        return self

    def join(self, other: "SlotCache") -> Self:
        """This cache with the rows of `other`, which must not be used afterwards, behind its own.

        They are written into rows that `select` has freed, if there are enough.
        """
        for cache, slots in ((self, other.written.shape[1]), (other, self.written.shape[1])):
            cache.reserve(slots - 1)
        used, self.slots.written = len(self.written), torch.cat([self.written, other.written])
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            pairs, rows = zip(mine.memory, (theirs.keys, theirs.values), strict=True), len(self.written)
            mine.hold(*(_behind(memory, used, more) for memory, more in pairs), rows=rows)
        return self


def _behind(memory: Tensor, used: int, more: Tensor) -> Tensor:
    """The rows `more` behind the first `used` of `memory`, in the same memory if it is large enough."""
    if len(memory) < used + len(more):
        return torch.cat([memory[:used], more])
    memory[used : used + len(more)] = more
    return memory


class SlotLayer(CacheLayerMixin):
    """The keys and values [R, H, S, D] of one layer, in `memory` for as many rows or more."""

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
        """Use these tensors as memory, all of their rows or the first `rows`."""
        self.memory, self.keys, self.values = (keys, values), keys[:rows], values[:rows]
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        at = self.slots.indices(key_states.shape[1]).to(key_states.device)
        for held, new in ((self.keys, key_states), (self.values, value_states)):
            # copying rows of a matrix is several times faster than indexing every number
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
