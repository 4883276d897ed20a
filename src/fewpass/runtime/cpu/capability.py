"""Conditions of the CPU fast path: modules that it computes exactly, and operators of torch that work here."""

import functools
import logging
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import GELUActivation, SiLUActivation
from transformers.models.emu3 import modeling_emu3 as emu3
from transformers.models.janus.modeling_janus import JanusVQVAEHead
from transformers.models.llama import modeling_llama as llama

from fewpass.runtime.cpu.linear import packed, product

MOST_COPIED = 1 << 28  # bytes of the copies of all weights, two of each
BODIES = (llama.LlamaModel, emu3.Emu3TextModel)
PARTS = {
    *BODIES,
    *(llama.LlamaDecoderLayer, llama.LlamaAttention, llama.LlamaMLP, llama.LlamaRMSNorm, llama.LlamaRotaryEmbedding),
    *(emu3.Emu3DecoderLayer, emu3.Emu3Attention, emu3.Emu3MLP, emu3.Emu3RMSNorm, emu3.Emu3RotaryEmbedding),
    *(nn.ModuleList, nn.Linear, nn.Embedding, nn.Dropout, SiLUActivation, JanusVQVAEHead, GELUActivation),
}
BOUND = {torch.float32: 1e-4, torch.bfloat16: 5e-2}  # relative error of a product in the test on the spot


def supports(model: PreTrainedModel, roots: Sequence[nn.Module]) -> bool:
    """True for a small body of Llama's layout, in evaluation mode on a CPU, with no module replaced or hooked.

    `roots` are the modules whose weights are copied: the body and, for Janus, the head.
    """
    config, modules = model.config, [module for root in roots for module in root.modules()]
    if model.training or config._attn_implementation != "sdpa" or config.hidden_act != "silu":
        return False
    weights = [weight for root in roots for weight in root.parameters()]
    dtype = weights[0].dtype
    plain = all(weight.device.type == "cpu" and weight.dtype == dtype for weight in weights)
    copied = 2 * sum(module.weight.nbytes for module in modules if isinstance(module, nn.Linear))
    return plain and copied <= MOST_COPIED and all(map(_is_untouched, modules)) and operators_work(dtype)


@functools.cache
def operators_work(dtype: torch.dtype) -> bool:
    """Test torch's private oneDNN operators on a small product; where they fail, write one log line."""
    if dtype not in BOUND or not torch.backends.mkldnn.is_available():
        return False
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        x, weight, bias = (_wave(*shape).to(dtype) for shape in ((5, 48), (40, 48), (40,)))
        found, expected = product(x, packed(weight), bias), F.linear(x, weight, bias)
        error = float((found - expected).abs().max() / expected.abs().max())
        reason = "" if error <= BOUND[dtype] else f"oneDNN's product is wrong by {error:.1g}"
    except (AttributeError, RuntimeError, TypeError) as failed:  # an operator is missing or takes other arguments
        reason = str(failed).partition("\n")[0]
    if reason:
        logging.getLogger(__name__).warning("no CPU fast path with torch %s: %s", torch.__version__, reason)
    return not reason


def _wave(*shape: int) -> torch.Tensor:
    """Numbers between -1 and 1 without a random generator."""
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).mul(0.7).sin().view(shape)


def _is_untouched(module: nn.Module) -> bool:
    hooked = module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    return type(module) in PARTS and not hooked
