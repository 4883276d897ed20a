"""Forward passes compiled by `torch.compile`."""

import types
import warnings
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
from torch.fx.experimental import _config as tracing
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from fewpass.runtime.kv_cache import SlotCache
from fewpass.runtime.session import Network

Pass = Callable[[Tensor, Tensor, Tensor, SlotCache], Tensor]  # as `Network.body`
REFUSALS = (TorchDynamoException, FailOnRecompileLimitHit, GuardOnDataDependentSymNode)


def compiled(network: Network, backend: str = "inductor") -> Network:
    """The same network with a body that `torch.compile` compiles when it first runs; see `CompiledBody`."""
    return replace(network, body=CompiledBody(network.body, backend))


class CompiledBody:
    """A body compiled once for any number of rows, positions and slots.

    torch.compile treats every size of 1 as a constant, so one row and one position are graphs of their own: four at
    most. The prefill is not compiled. Where compilation fails (no C++ compiler, a layer that cannot be traced), one
    warning names the error and the plain body runs from then on.
    """

    def __init__(self, plain: Pass, backend: str = "inductor"):
        self.plain, self.backend = plain, backend
        self._graphs: dict[tuple[bool, ...], Pass] = {}
        self._failed = False

    def __call__(self, inputs: Tensor, position: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        if self._failed or cache.empty:
            return self.plain(inputs, position, mask, cache)
        try:
            return self._graph(len(inputs) > 1, inputs.shape[1] > 1)(inputs, position, mask, cache)
        except REFUSALS as error:
            self._failed = True
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            warnings.warn(f"torch.compile failed, passes run uncompiled: {reason}", RuntimeWarning, stacklevel=2)
        return self.plain(inputs, position, mask, cache)

    def _graph(self, *case: bool) -> Pass:
        """The graph of a case, with a code object of its own: torch.compile keeps its guards with the code.

        Sizes that are equal by chance when a pass is traced, such as rows and heads, must not become one symbol.
        """
        if case not in self._graphs:
            plain = self.plain

            def one_pass(inputs: Tensor, position: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
                return plain(inputs, position, mask, cache)

            own = types.FunctionType(
                one_pass.__code__.replace(), one_pass.__globals__, one_pass.__name__, None, one_pass.__closure__
            )
            graph = torch.compile(own, fullgraph=True, dynamic=True, backend=self.backend)
            self._graphs[case] = graph
            return tracing.patch(use_duck_shape=False)(graph)  # type: ignore[attr-defined]
        return self._graphs[case]
