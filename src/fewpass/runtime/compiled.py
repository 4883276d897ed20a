"""Passes of the window as graphs of `torch.compile`."""

import types
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
from torch.fx.experimental import _config as tracing
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from fewpass.runtime.kv_cache import SlotCache
from fewpass.runtime.session import Network

Pass = Callable[[Tensor, Tensor, Tensor, SlotCache], Tensor]  # as `Network.answer`
SLOTS, SPARE = 128, 32  # static caches have a multiple of so many slots, some past the image for what trees keep there
WIDTH = 8  # CUDA graphs are recorded for every shape: windows are filled up to a multiple of this
CUDA_GRAPHS: Any = {"triton.cudagraphs": True, "triton.cudagraph_dynamic_shape_warn_limit": None}
REFUSALS = (TorchDynamoException, FailOnRecompileLimitHit, GuardOnDataDependentSymNode)


def compiled(network: Network, **options: Any) -> "CompiledNetwork":
    """The same network, whose passes are compiled when they are first run; `options` are those of `Graphs`.

    The prompts' pass is not: every length would be another one. Where something cannot be compiled, because there is
    no compiler for one, a warning says so, once, and passes go on without.
    """
    parts = {part.name: getattr(network, part.name) for part in fields(Network)}
    return CompiledNetwork(**parts, graphs=Graphs(Network(**parts).answer, **options))


@dataclass(frozen=True, eq=False)
class CompiledNetwork(Network):
    """What `replace` makes of one shares its graphs: neither positions nor the codebook are part of them."""

    graphs: "Graphs | None" = None

    def cache(self, rows: int, slots: int, device: torch.device) -> SlotCache:
        assert self.graphs is not None
        if device.type != "cuda":
            return super().cache(rows, slots, device)
        return StaticCache(self.graphs.pool, self.layers, rows, slots, device)

    def answer(self, tokens: Tensor, ids: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        assert self.graphs is not None
        return self.graphs(tokens, ids, mask, cache)


class Graphs:
    """A pass, compiled for any number of rows, positions and slots at once.

    Only one row and one position are cases of their own, for torch.compile takes every 1 for a constant. So there are
    up to four graphs, each compiled once, when it is first needed. `width`: the number of positions is filled up to a
    multiple of this. On a GPU, passes on a cache that stays where it is are CUDA graphs too.
    """

    def __init__(self, plain: Pass, backend: str = "inductor", width: int | None = None):
        self.plain, self.backend, self.width = plain, backend, width
        self.pool = Pool()
        self._graphs: dict[tuple[bool, ...], Pass] = {}
        self._given_up = False

    def __call__(self, tokens: Tensor, ids: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        if self._given_up:
            return self.plain(tokens, ids, mask, cache)
        on_gpu, n = tokens.device.type == "cuda", tokens.shape[1]
        more = -n % (self.width or (WIDTH if on_gpu else 1)) if n > 1 else 0
        steady = isinstance(cache, StaticCache) and cache.steady()
        graph = self._graph(len(tokens) > 1, n > 1, steady)
        if more:
            tokens, ids, mask = _filled(tokens, more, -1), _filled(ids, more, -1), _filled(mask, more, -2)
            cache.slots.slot = _filled(cache.slots.slot, more, -1)
        try:
            if steady:
                torch.compiler.cudagraph_mark_step_begin()
                return graph(tokens, ids, mask, cache)[:, :n].clone()  # the next pass writes over it
            return graph(tokens, ids, mask, cache)[:, :n]
        except REFUSALS as error:
            self._given_up = True
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            warnings.warn(f"the model cannot be compiled, and draws as it is: {reason}", RuntimeWarning, stacklevel=2)
        return self.plain(tokens, ids, mask, cache)[:, :n]

    def _graph(self, *case: bool) -> Pass:
        """Guards are kept with a function's code, so every case has to have code of its own.

        Sizes that are equal by chance when it is traced, such as rows and heads, must not be taken for the same.
        """
        if case not in self._graphs:
            plain = self.plain

            def one_pass(tokens: Tensor, ids: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
                return plain(tokens, ids, mask, cache)

            own = types.FunctionType(
                one_pass.__code__.replace(), one_pass.__globals__, one_pass.__name__, None, one_pass.__closure__
            )
            options = CUDA_GRAPHS if case[-1] and self.backend == "inductor" else None
            graph = torch.compile(own, fullgraph=True, dynamic=True, backend=self.backend, options=options)
            self._graphs[case] = graph
            return tracing.patch(use_duck_shape=False)(graph)  # type: ignore[attr-defined]
        return self._graphs[case]


def _filled(x: Tensor, more: int, dim: int) -> Tensor:
    """The last position, as often again: the same token, written to the same slot."""
    last = x.narrow(dim, -1, 1)
    return torch.cat([x, last.expand(*(more if i == x.ndim + dim else -1 for i in range(x.ndim)))], dim)


class Pool:
    """Keys and values that outlive their caches, for CUDA graphs know what they read and write by its address.

    Those of one shape at a time are kept.
    """

    def __init__(self) -> None:
        self._free: dict[tuple, list[Tensor]] = {}

    def take(self, like: Tensor) -> Tensor:
        """A copy of `like` in a buffer that has been given back, if one fits."""
        key = like.shape, like.dtype, like.device
        if key not in self._free:
            self._free = {key: []}
        buffer = self._free[key].pop() if self._free[key] else torch.empty_like(like)
        torch._dynamo.mark_static_address(buffer)
        return buffer.copy_(like)

    def give_back(self, buffers: list[Tensor]) -> None:
        for buffer in buffers:
            key = buffer.shape, buffer.dtype, buffer.device
            if key in self._free:
                self._free[key].append(buffer)


class StaticCache(SlotCache):
    """A cache that lies where an earlier one of its shape lay; parts and unions of it are ordinary ones elsewhere."""

    def __init__(self, pool: Pool, layers: int, rows: int, slots: int, device: torch.device):
        super().__init__(layers, rows, -(-(slots + 1 + SPARE) // SLOTS) * SLOTS - 1, device)
        self._pool, self._buffers = pool, list[Tensor]()

    def select(self, rows: Tensor) -> SlotCache:
        if self._buffers and self.layers[0].keys is self._buffers[0]:  # the pool will want them back
            for layer in self.layers:
                layer.hold(layer.keys.clone(), layer.values.clone())
        return super().select(rows)

    def steady(self) -> bool:
        """Move into buffers of the pool, after the prompts' pass; False once the cache has outgrown them."""
        if not self._buffers:
            for layer in self.layers:
                layer.hold(self._pool.take(layer.keys), self._pool.take(layer.values))
                self._buffers += [layer.keys, layer.values]
            weakref.finalize(self, self._pool.give_back, self._buffers)
        return self.layers[0].keys is self._buffers[0]
