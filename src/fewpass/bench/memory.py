"""Memory: predicted from shapes, allocated, and at its peak."""

import sys

import torch
from torch import Tensor, nn

from fewpass.bench.task import Task
from fewpass.core.loop import Drawing
from fewpass.core.protocol import Decoder
from fewpass.engine.memory import cache_bytes
from fewpass.runtime.kv_cache import bucket
from fewpass.runtime.session import PromptSession


class Peak:
    """The peak of a GPU's memory since this object was created; None on a CPU."""

    def __init__(self, device: torch.device):
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @property
    def bytes(self) -> int | None:
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None


def process_peak() -> int | None:
    """The peak of the process's resident memory in bytes; None if the system does not report it."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def weights(module: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def stated_cache(task: Task, numbers: list[int]) -> int:
    """Bytes of the KV cache of these images: slots for the longest prompt, the image, and one scrap slot."""
    prompts = task.prompts_of(numbers)
    rows = [task.model.read(prompt, None, task.settings.grid, task.settings.guidance) for prompt in prompts]
    slots = max(len(row) for image in rows for row in image) + task.tokens + 1
    return sum(map(len, rows)) * cache_bytes(task.model, bucket(slots, task.model.device))


def allocated_cache(session: PromptSession) -> int:
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in session.cache.layers)


def allocated_laws(state: tuple[Tensor, ...]) -> int:
    return sum(part.nbytes for part in state)


@torch.inference_mode()
def measured(task: Task, decoder: Decoder) -> dict[str, int]:
    """Bytes of one image's cache and distributions after a first pass, which adds slots for trees, and as predicted."""
    session = task.open([0])
    opened = allocated_cache(session)
    drawing = Drawing(session, decoder, task.sampling, task.seeds([0]))
    drawing.advance()
    drawing.check(drawing.canvas)
    return {
        "cache_stated": stated_cache(task, [0]),
        "cache_at_opening": opened,
        "cache_allocated": allocated_cache(session),
        "laws_allocated": allocated_laws(drawing.state),
    }
