"""Which modules the lean passes may stand in for: those that they do the same as, and no others."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import GELUActivation, SiLUActivation
from transformers.models.emu3 import modeling_emu3 as emu3
from transformers.models.janus.modeling_janus import JanusVQVAEHead
from transformers.models.llama import modeling_llama as llama

ROOM = 1 << 28  # bytes that the copies of weights may take; there are two of each
BODIES = (llama.LlamaModel, emu3.Emu3TextModel)
PARTS = {
    *BODIES,
    *(llama.LlamaDecoderLayer, llama.LlamaAttention, llama.LlamaMLP, llama.LlamaRMSNorm, llama.LlamaRotaryEmbedding),
    *(emu3.Emu3DecoderLayer, emu3.Emu3Attention, emu3.Emu3MLP, emu3.Emu3RMSNorm, emu3.Emu3RotaryEmbedding),
    *(nn.ModuleList, nn.Linear, nn.Embedding, nn.Dropout, SiLUActivation, JanusVQVAEHead, GELUActivation),
}


def is_llama(model: PreTrainedModel) -> bool:
    """Is it a body of Llama's layout that runs as `Lean` would run it?"""
    config = model.config
    as_lean = config._attn_implementation == "sdpa" and config.hidden_act == "silu"
    return type(model) in BODIES and as_lean and not model.training


def is_head(head: object) -> bool:
    """Is it a head that `LeanHead` knows?"""
    return type(head) is JanusVQVAEHead


def are_small_and_plain(roots: Sequence[nn.Module]) -> bool:
    """On a CPU, all in one precision that oneDNN multiplies in, with room for the copies, and nothing replaced?"""
    modules = [module for root in roots for module in root.modules()]
    weights = [weight for root in roots for weight in root.parameters()]
    precision = weights[0].dtype
    plain = all(weight.device.type == "cpu" and weight.dtype == precision for weight in weights)
    copied = 2 * sum(module.weight.nbytes for module in modules if isinstance(module, nn.Linear))
    return plain and copied <= ROOM and _is_multiplied(precision) and all(map(_is_untouched, modules))


def _is_multiplied(precision: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    half = precision == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return half or precision == torch.float32


def _is_untouched(module: nn.Module) -> bool:
    hooked = module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    return type(module) in PARTS and not hooked
