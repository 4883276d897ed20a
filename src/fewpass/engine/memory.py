"""The memory policy of drawings: an estimate limits how many images begin, and out of memory halves their number."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.filesize import decimal

from fewpass.core.errors import OutOfMemory
from fewpass.engine.request import Job
from fewpass.models.base import Model
from fewpass.runtime.kv_cache import bucket

PER_CODE = 64  # bytes for each position of the window and code: logits, distributions p and q, 64-bit random numbers
SHARE = 0.9  # of the free memory that a drawing may plan with
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def image_bytes(model: Model, jobs: Sequence[Job]) -> int:
    """An estimate of the bytes that each of `jobs`, of equal batch key, takes in one batch with the others.

    Its KV cache is nearly all of it; the weights and the pixels are not among them.
    """
    decoder, grid = jobs[0].decoder, jobs[0].grid
    positions = min(decoder.margin, grid.size) + grid.widest
    return cache_bytes(model, jobs) + positions * grid.vocab * PER_CODE


def cache_bytes(model: Model, jobs: Sequence[Job]) -> int:
    """The bytes of the KV cache of each of `jobs` in one batch with the others."""
    rows, prompt = max(len(job.rows) for job in jobs), max(len(row) for job in jobs for row in job.rows)
    slots = bucket(prompt + jobs[0].grid.size + 1, model.device)
    config = model.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * width * rows * slots * model.model.dtype.itemsize


def available(device: torch.device) -> int | None:
    """Free bytes of a device; None if unknown."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    known = [free for free in (_machine(), _container()) if free is not None]
    return min(known) if known else None


def ran_out(error: Exception) -> bool:
    """Whether an allocator raised this error for lack of memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    )


def _machine() -> int | None:
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", MEMINFO.read_text())
    except OSError:  # not Linux
        return None
    return int(found[1]) * 1024 if found else None


def _container() -> int | None:
    """Free bytes of a container's limit, or of a control group's; the cache of files it has read counts as free."""
    try:
        most, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        idle = re.search(r"^inactive_file (\d+)", (CGROUP / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # none, or "max"
        return None
    return most - used + (int(idle[1]) if idle else 0)


class MemoryBudget:
    """The memory policy of every drawing on the device of `model`.

    An estimate limits how many images begin, since a CPU that runs out of memory kills the process. Where memory runs
    out nevertheless, half as many images are drawn at once from then on.
    """

    def __init__(self, model: Model):
        self.model, self.device, self._warned = model, model.device, False

    def admitted(self, jobs: Sequence[Job], alone: bool = True) -> int:
        """How many of `jobs`, of equal batch key, fit into memory now.

        Raises OutOfMemory if not even the first one fits, and nothing else is being drawn: it would be `alone`.
        """
        free = available(self.device)
        if free is None:
            return len(jobs)
        need = image_bytes(self.model, jobs)
        fit = min(int(SHARE * free) // need, len(jobs))
        if alone and not fit:
            if image_bytes(self.model, jobs[:1]) > SHARE * free:
                raise OutOfMemory(self._needed(jobs, free))
            return 1
        if fit < len(jobs) and not self._warned:
            self._warned = True
            _warn(
                f"{len(jobs)} images at once need {decimal(len(jobs) * need)} of memory, and {decimal(free)} are free"
                f" on {self.device}: fewer are drawn at a time, which makes the same images"
            )
        return fit

    def halved(self, jobs: Sequence[Job], at_once: int) -> int:
        """Half of the `at_once` images, `jobs` among them, that memory has run out for. OutOfMemory for one image."""
        if at_once == 1:
            raise OutOfMemory(f"out of memory with one image: {self._needed(jobs, available(self.device))}")
        _warn(
            f"out of memory with {at_once} images at once: going on with {at_once // 2} at a time,"
            " which makes the same images"
        )
        return at_once // 2

    def _needed(self, jobs: Sequence[Job], free: int | None) -> str:
        known = "" if free is None else f", and {decimal(free)} are free"
        return f"an image needs about {decimal(image_bytes(self.model, jobs[:1]))} of memory{known} on {self.device}"


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)
