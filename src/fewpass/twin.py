"""Small models on a CPU have a twin that answers windows in less time (`fewpass.lean`)."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import SiLUActivation
from transformers.models.emu3 import modeling_emu3 as emu3
from transformers.models.llama import modeling_llama as llama

from fewpass.cache import SlotCache
from fewpass.lean import Lean
from fewpass.models.body import Body
from fewpass.session import Network

ROOM = 1 << 28  # bytes that the copies of weights may take; there are two
BODIES = (llama.LlamaModel, emu3.Emu3TextModel)
PARTS = {
    *BODIES,
    *(llama.LlamaDecoderLayer, llama.LlamaAttention, llama.LlamaMLP, llama.LlamaRMSNorm, llama.LlamaRotaryEmbedding),
    *(emu3.Emu3DecoderLayer, emu3.Emu3Attention, emu3.Emu3MLP, emu3.Emu3RMSNorm, emu3.Emu3RotaryEmbedding),
    *(nn.ModuleList, nn.Linear, nn.Embedding, nn.Dropout, SiLUActivation, nn.SiLU),
}


def twinned(network: Network) -> Network:
    """The same network, whose windows are answered by a twin of its body where there is one."""
    parts = {part.name: getattr(network, part.name) for part in fields(Network)}
    return TwinNetwork(**parts)


@dataclass(frozen=True, eq=False)
class TwinNetwork(Network):
    """A network with another body has another twin; with one that is no `Body`, none."""

    twin: "Twin | None" = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "twin", Twin(self.body) if isinstance(self.body, Body) else None)

    def cache(self, rows: int, slots: int, device: torch.device) -> SlotCache:
        if self.twin is not None:
            self.twin.current = False  # whoever opens a session may have trained the model since the last one
        return super().cache(rows, slots, device)

    def answer(self, tokens: Tensor, ids: Tensor, mask: Tensor, cache: SlotCache) -> Tensor:
        body = self.body if self.twin is None or torch.is_grad_enabled() else self.twin.body()
        return self.head(body(self.embed(tokens), ids, mask, cache))


class Twin:
    """The lean twin of a body, whose weights are those that the model had when a session was last opened."""

    def __init__(self, original: Body):
        self.original, self.current = original, False
        self._lean: Lean | None = None

    def body(self) -> Lean | Body:
        """The twin; the original, where there is none."""
        if not self.current:
            self._lean = None  # its memory is needed for the next one
            if lean_can(self.original.model):
                with torch.inference_mode(False), torch.no_grad():  # in whatever mode it will be used
                    self._lean = Lean(self.original.model)
            self.current = True
        return self._lean or self.original


def lean_can(model: PreTrainedModel) -> bool:
    """Is a model small, in float32 on a CPU, and in nothing different from what `Lean` takes it for?"""
    if type(model) not in BODIES or model.training or model.config._attn_implementation != "sdpa":
        return False
    if not torch.backends.mkldnn.is_available() or model.config.hidden_act != "silu":
        return False
    parameters = list(model.parameters())
    plain = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in parameters)
    return plain and all(map(_untouched, model.modules())) and 2 * sum(_linear_bytes(model)) <= ROOM


def _untouched(module: nn.Module) -> bool:
    """Does a module do what its class does, and is its class a known one?"""
    hooked = module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    return type(module) in PARTS and not hooked


def _linear_bytes(model: PreTrainedModel) -> Iterator[int]:
    return (module.weight.nbytes for module in model.modules() if isinstance(module, nn.Linear))
