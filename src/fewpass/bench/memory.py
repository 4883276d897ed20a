"""Memory: what follows from shapes, what was allocated, and the most that was in use."""

import sys
from typing import Any

import torch
from torch import Tensor, nn

from fewpass.adaptive import Adaptive
from fewpass.bench.task import Task
from fewpass.decoders import Decoder, Jacobi
from fewpass.loop import Drawing
from fewpass.models.base import Model
from fewpass.recall import Recall
from fewpass.session import PromptSession
from fewpass.tree import Tree


class Peak:
    """The most memory in use on a GPU since this was made; elsewhere only the whole process has a peak."""

    def __init__(self, device: torch.device):
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @property
    def bytes(self) -> int | None:
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None


def process_peak() -> int | None:
    """The most memory that this process has had resident; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def weights(module: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def stated_cache(task: Task, numbers: list[int]) -> int | None:
    """Bytes of the cache of these images: keys and values of every layer, row, head and slot, one of them scrap.

    None for a model whose configuration does not have the usual names.
    """
    prompts = [task.prompts[i % len(task.prompts)] for i in numbers]
    settings = task.settings
    rows = [task.model.read(prompt, None, settings.grid, settings.guidance) for prompt in prompts]
    slots = max(len(row) for image in rows for row in image) + task.tokens + 1
    entry = _entry(task.model)
    return None if entry is None else sum(map(len, rows)) * slots * entry


def _entry(model: Model) -> int | None:
    """Bytes of what one slot of one row holds in all layers."""
    config: Any = model.model.config.get_text_config()
    try:
        heads = config.num_key_value_heads or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    except AttributeError:
        return None
    return model.network.layers * 2 * heads * width * model.model.dtype.itemsize


def allocated_cache(session: PromptSession) -> int:
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in session.cache.layers)


def stated_laws(task: Task, decoder: Decoder, p: Tensor) -> int | None:
    """Bytes of the laws that a decoder keeps of one image: a ring of the window, one more, and a row of the grid.

    Two rings where it remembers earlier laws too.
    None for a decoder that keeps none, or others.
    """
    asking = decoder.recall if isinstance(decoder, Adaptive) else decoder
    rings = 2 if isinstance(asking, Recall) else 1
    chain = asking.chain if isinstance(asking, Recall | Tree) else asking
    if not isinstance(chain, Jacobi):
        return None
    depth = min(chain.window, task.tokens - 1) + 1 + task.settings.grid.widest
    return rings * depth * p.shape[-1] * p.dtype.itemsize


def allocated_laws(state: tuple[Tensor, ...]) -> int:
    return sum(part.nbytes for part in state if part.is_floating_point() and part.dim() == 3)


@torch.inference_mode()
def measured(task: Task, decoder: Decoder) -> dict[str, int | None]:
    """Bytes of one image's cache and laws after a first pass, which makes room for trees, and what shapes say."""
    session = task.open([0])
    opened = allocated_cache(session)
    drawing = Drawing(session, decoder, task.law, task.seeds([0]))
    drawing.advance()
    return {
        "cache_stated": stated_cache(task, [0]),
        "cache_at_opening": opened,
        "cache_allocated": allocated_cache(session),
        "laws_stated": stated_laws(task, decoder, session.first),
        "laws_allocated": allocated_laws(drawing.state),
    }
